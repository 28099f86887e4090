"""What the oras tests run: one verb of the Python oras library, in a process that has only it."""
# ruff: noqa: T201 - what it prints is its answer
# Run by tests/clients/test_oras.py with .test/oras on PYTHONPATH; the library is not in our environment.

from __future__ import annotations

import json
import sys
from typing import Any

import oras.client
import oras.oci


def main() -> None:
    call: dict[str, Any] = json.load(sys.stdin)
    client = oras.client.OrasClient(
        hostname=call["hostname"], insecure=call["insecure"], auth_backend=call["auth_backend"]
    )
    if call.get("username"):
        client.auth.set_basic_auth(call["username"], call["password"])
    verb = call["verb"]
    if verb == "login":
        # It asks no registry: a wrong password is found out at the first push.
        client.login(
            username=call["username"],
            password=call["password"],
            hostname=call["hostname"],
            tls_verify=True,
            config_path=call["config_path"],
        )
        print("{}")
    elif verb == "push":
        subject = oras.oci.Subject(**call["subject"]) if call.get("subject") else None
        options = {"do_chunked": True, "chunk_size": call["chunk_size"]} if call.get("chunk_size") else {}
        response = client.push(
            target=call["target"],
            files=call["files"],
            disable_path_validation=True,
            manifest_annotations=call.get("annotations"),
            subject=subject,
            config_path=call["config_path"],
            **options,
        )
        print(json.dumps({"status": response.status_code, "headers": dict(response.headers)}))
    elif verb == "pull":
        print(json.dumps(client.pull(target=call["target"], outdir=call["folder"])))
    elif verb == "tags":
        print(json.dumps(client.get_tags(call["target"])))
    elif verb == "delete":
        print(json.dumps(client.delete_tags(call["target"], call["tags"])))
    else:
        raise SystemExit(f"unknown verb {verb}")


main()
