"""Who is signed in: with a browser's cookie, or with a short-lived login token."""
