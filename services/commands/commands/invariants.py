"""`python -m commands invariants`: what must hold of the data at any time; ends with 1 if not."""

from functools import partial

from chassis import invariants

RULES = {
    "a command ends once, and then for good": """
        select c.id::text from commands c
        join command_transitions t on t.command_id = c.id
        group by c.id
        having count(*) filter (where t.status = any(array[
            'succeeded', 'failed', 'partial', 'expired', 'cancelled'
        ])) <> (c.ended_at is not null)::int
    """,
    "the last transition of a command is its status": """
        select c.id::text from commands c
        left join lateral (
            select t.status from command_transitions t
            where t.command_id = c.id order by t.seq desc limit 1
        ) t on true
        where c.status is distinct from t.status
    """,
    "the transitions of a command have no gap": """
        select command_id::text from command_transitions
        group by command_id having count(*) <> max(seq)
    """,
    "a command in somebody's hands has a lease, and no other": """
        select id::text from commands
        where (status in ('delivered', 'executing')) <> (lease_until is not null)
    """,
    "what was told of a queue is so": """
        select a.agent_id::text from agent_contexts a
        left join lateral (
            select count(*) filter (where c.status = 'queued') as queued,
                count(*) filter (where c.status = 'queued' or c.lease_until <= clock.now) as free
            from commands c, clock where c.agent_id = a.agent_id and c.ended_at is null
        ) c on true
        where a.deliverable not between c.queued and c.free
    """,
    "only a known agent has commands, and of one client": """
        select c.id::text from commands c
        left join agent_contexts a using (agent_id)
        where a.client_id is distinct from c.client_id
    """,
    "a deleted agent has nothing open": """
        select a.agent_id::text from agent_contexts a
        where (a.state ->> 'deleted')::boolean and (
            exists (select from commands c where c.agent_id = a.agent_id and c.ended_at is null)
            or exists (select from replicas r where r.agent_id = a.agent_id and r.ended_at is null)
            or exists (
                select from emergencies e where e.agent_id = a.agent_id and e.closed_at is null
            )
        )
    """,
    "nothing is overdue by more than a minute": """
        select agent_id::text from agent_contexts, clock
        where due_at < clock.now - interval '1 minute'
    """,
    "what ends by the clock is looked at in time": """
        select a.agent_id::text from agent_contexts a
        where coalesce(a.due_at, 'infinity') > least(
            (select min(c.expires_at) from commands c
             where c.agent_id = a.agent_id and c.ended_at is null),
            (select min(e.expires_at) from emergencies e
             where e.agent_id = a.agent_id and e.closed_at is null)
        )
    """,
    "a threat to an instance is one emergency": """
        select agent_id::text from emergencies where closed_at is null
        group by agent_id, kind, instance_id having count(*) > 1
    """,
    "a replica that holds data has an instance": """
        select id::text from replicas
        where status in ('syncing', 'ready', 'promoted') and instance_id is null
    """,
    "a replica lives until it is promoted, terminated or failed": """
        select id::text from replicas
        where (status in ('promoted', 'terminated', 'failed')) <> (ended_at is not null)
    """,
    "an instance is one live replica at most, and not the primary": """
        select r.agent_id::text from replicas r join agent_contexts a using (agent_id)
        where r.ended_at is null and r.instance_id is not null
        group by r.agent_id, r.instance_id, a.state
        having count(*) > 1 or r.instance_id = a.state ->> 'instance_id'
    """,
    "an emergency replica lives only for an open emergency": """
        select r.id::text from replicas r
        where r.kind = 'emergency' and r.ended_at is null and not exists (
            select from emergencies e where e.replica_id = r.id and e.closed_at is null
        )
    """,
    "an open emergency has a live replica or an open command": """
        select e.id::text from emergencies e
        where e.closed_at is null and not exists (
            select from replicas r where r.id = e.replica_id and r.ended_at is null
        ) and not exists (
            select from commands c where c.id = e.command_id and c.ended_at is null
        )
    """,
    "an agent stays where it lives": """
        select s.agent_id::text from switches s join agent_contexts a using (agent_id)
        where s.ended_at is null and s.new_instance ->> 'instance_id' is distinct from
            case when (a.state ->> 'deleted')::boolean then null else a.state ->> 'instance_id' end
    """,
    "a deleted agent's switches cost no more": """
        select s.agent_id::text from switches s join agent_contexts a using (agent_id)
        where (a.state ->> 'deleted')::boolean and s.agent_deleted_at is null
    """,
    "an agent stays in one place at a time": """
        select a.agent_id::text from switches a join switches b using (agent_id)
        where a.completed_at < b.completed_at
            and coalesce(a.ended_at, 'infinity') > b.completed_at
    """,
    "a replica and an emergency are of their agent's client": """
        select r.agent_id::text from (
            select agent_id, client_id from replicas
            union select agent_id, client_id from emergencies
            union select agent_id, client_id from switches
        ) r join agent_contexts a using (agent_id)
        where r.client_id <> a.client_id
    """,
}
"""What must hold, with a question that finds those for which it does not."""

violations = partial(invariants.violations, RULES)
check = partial(invariants.check, RULES)
