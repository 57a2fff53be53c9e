"""`python -m registry invariants`: what must hold of the data at any time; ends with 1 if not."""

from functools import partial

from chassis import invariants

RULES = {
    "an agent's primary is the one instance that says so": """
        select a.id::text from agents a
        left join instances i on i.agent_id = a.id and i.status = 'primary'
        where a.instance_id is distinct from i.instance_id
    """,
    "an agent and its instances have one client": """
        select a.id::text from agents a join instances i on i.agent_id = a.id
        where i.client_id <> a.client_id
    """,
    "the newest version in the history is the config": """
        select c.agent_id::text from agent_configs c
        left join lateral (
            select h.config_version, h.settings from agent_config_history h
            where h.agent_id = c.agent_id order by h.config_version desc limit 1
        ) h on true
        where c.config_version is distinct from h.config_version
            or c.settings is distinct from h.settings
    """,
    "the versions of a config have no gap": """
        select agent_id::text from agent_config_history
        group by agent_id having count(*) <> max(config_version)
    """,
    "an agent has a config": """
        select a.id::text from agents a
        left join agent_configs c on c.agent_id = a.id where c.agent_id is null
    """,
}
"""What must hold, with a question that finds those for which it does not."""

violations = partial(invariants.violations, RULES)
check = partial(invariants.check, RULES)
