"""What the heartbeat service answers."""

from collections.abc import Mapping

from chassis.transaction import Handler, Tx
from heartbeat import store
from spotkeeper_contracts import Message, Refused
from spotkeeper_contracts.presence import GetPresence, PresenceAnswer

AGENTS_AT_ONCE = 500


async def get_presence(request: GetPresence, tx: Tx) -> PresenceAnswer:
    """When the agents of a client were last heard of, as far as the log is folded."""
    if len(request.agent_ids) > AGENTS_AT_ONCE:
        raise Refused("TOO_MANY_AGENTS", f"Ask for {AGENTS_AT_ONCE} agents at most", 400)
    items = await store.presence_of_agents(tx.db, request.client_id, request.agent_ids)
    return PresenceAnswer(items=items, as_of=tx.now)


HANDLERS: Mapping[type[Message], Handler] = {
    GetPresence: get_presence,
}
