"""The OpenAPI document held against the gateway: no answer that it does not document, no 500."""

import asyncio
import subprocess
import sys
from pathlib import Path

from tests.system.driver import ADMIN_TOKEN, System

CONFIG = """
[parameters]
"query.wait" = 0
"""
"""Long polls are tried in test_commands.py; here each would cost up to 25 seconds."""


async def test_a_fuzzer_finds_no_500_and_no_undocumented_answer(
    system: System, tmp_path: Path
) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    for token, only in (
        (system.ready["client_token"], "--exclude-path-regex"),
        (ADMIN_TOKEN, "--include-path-regex"),
    ):
        done = await asyncio.to_thread(
            subprocess.run,
            [
                str(Path(sys.executable).parent / "schemathesis"),
                *("--config-file", str(config)),
                *("run", f"{system.gateway}/openapi.json"),
                *("--header", f"Authorization: Bearer {token}"),
                *(
                    "--checks",
                    "not_a_server_error,status_code_conformance,content_type_conformance",
                ),
                *(only, "^/api/admin" if only.startswith("--include") else "^/api/(admin|events)"),
                *("--max-examples", "10", "--phases", "examples,fuzzing", "--seed", "1"),
                *("--request-timeout", "20", "--no-color"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
