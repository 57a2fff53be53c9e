"""The end of what is left behind: instances that the control plane lists, and nobody else's."""

import logging
from collections.abc import Sequence

from spotkeeper_agent import clock
from spotkeeper_agent.situation import Situation

log = logging.getLogger(__name__)


async def terminate_what_is_left(here: Situation) -> Sequence[str]:
    """Terminate what is listed, report each end, and return whose ends those were.

    Raises `Failure`; what was ended without its report is listed again, and reported then.
    """
    gone = []
    answer = await here.calls.get("instances-to-terminate")
    for entry in answer.listed("instance_id", "reason"):
        instance_id = entry["instance_id"]
        assert instance_id != here.instance.instance_id, "no agent is told to end itself"
        here.cloud.terminate(instance_id)
        by_aws = here.cloud.was_interrupted(instance_id)
        await here.calls.insist(
            "termination-report",
            {
                "instance_id": instance_id,
                "reason": "aws_termination" if by_aws else "system",
                "timestamp": clock.now().isoformat(),
                "termination_type": "forced" if by_aws else "graceful",
            },
        )
        log.info("%s has terminated %s (%s)", here.name, instance_id, entry["reason"])
        gone.append(instance_id)
    return gone
