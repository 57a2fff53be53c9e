"""A new model is tried in a process of its own, before it comes near any decision.

There it may hang, crash or devour memory without hurting anybody. `python -m decision.proof` reads
the model from its standard input and writes what is wrong with it, if anything is.
"""

import asyncio
import base64
import json
import resource
import sys
from asyncio.subprocess import DEVNULL, PIPE

from chassis import clock
from decision.model import Model, ModelCard, ModelError, checked
from decision.trials import trial_rows

TRIAL_SECONDS = 20.0
CPU_SECONDS = 5
"""So much a trial may work: a sound model takes a quarter of a second, most of it for imports."""

MEMORY_BYTES = 4 << 30
ROWS_AT_ONCE = (2, 5, 20, 200)
TRIES = 3


async def prove(content: bytes, card: ModelCard, *, answer_seconds: float) -> None:
    """Raise `ModelError` unless the model passes every check and answers within these seconds."""
    told = {
        "onnx": base64.b64encode(content).decode(),
        "card": card.model_dump(mode="json"),
        "answer_seconds": answer_seconds,
        "cpu_seconds": CPU_SECONDS,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "decision.proof"), stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )
    try:
        async with asyncio.timeout(TRIAL_SECONDS):
            complaint, _ = await process.communicate(json.dumps(told).encode())
    except TimeoutError as error:
        raise ModelError("The model did not get through its trial in time.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if complaint:
        raise ModelError(complaint.decode())
    if process.returncode != 0:
        raise ModelError("The model crashes, hangs or takes more memory than there is.")


def main() -> None:
    """Try the model that standard input holds."""
    told = json.load(sys.stdin.buffer)
    resource.setrlimit(resource.RLIMIT_CPU, (told["cpu_seconds"],) * 2)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    try:
        model = checked(base64.b64decode(told["onnx"]), ModelCard.model_validate(told["card"]))
        for rows in ROWS_AT_ONCE:
            _assert_is_quick(model, rows, told["answer_seconds"])
    except ModelError as error:
        sys.stdout.write(str(error))


def _assert_is_quick(model: Model, rows: int, within_seconds: float) -> None:
    """One answer in time is enough: a busy machine makes others longer."""
    for _ in range(TRIES):
        start = clock.monotonic()
        model.risks(trial_rows()[:rows])
        taken = clock.monotonic() - start
        if taken <= within_seconds:
            return
    raise ModelError(f"The model takes {taken:.2f} s for {rows} pools.")


if __name__ == "__main__":
    main()
