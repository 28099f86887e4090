"""The OCI distribution API.  `http.py` has the table of routes: START HERE.

Each noun has a folder: `http.py` speaks the protocol, `service.py` decides, `queries.py` asks the database.
"""
