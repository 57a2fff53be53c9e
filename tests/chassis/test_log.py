"""The log of a process: one JSON line an event, whoever tells it."""

import asyncio
import json
import sys

from tests.sources import ROOT

PROGRAM = """
import logging
import threading

from chassis.log import get_logger, set_up_logging

set_up_logging("example", "Info")
get_logger().info("ours")
logging.getLogger("library").warning("theirs")
for tell in (get_logger().info, logging.getLogger("library").warning):
    thread = threading.Thread(target=tell, args=["elsewhere"])
    thread.start()
    thread.join()
"""


async def test_every_line_names_the_service_from_whatever_thread_it_comes() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    lines = [json.loads(line) for line in told.splitlines()]
    assert [line["event"] for line in lines] == ["ours", "theirs", "elsewhere", "elsewhere"]
    assert {line.get("service") for line in lines} == {"example"}
