"""Examples that tests ask for with fields of their own."""

from uuid import UUID

import pytest
from pydantic import ValidationError

from spotkeeper_contracts.agents import (
    AgentDetail,
    AgentPage,
    AgentState,
    ListAgents,
    RegisterAgent,
    Registration,
)
from spotkeeper_contracts.examples import example, example_beat
from spotkeeper_contracts.ids import agent_id
from spotkeeper_contracts.values import AgentStatus, PurchaseMode


def test_examples_are_always_the_same() -> None:
    assert example(AgentState) == example(AgentState)


def test_the_ids_of_examples_belong_together() -> None:
    state = example(AgentState)
    assert state.agent_id == agent_id(state.client_id, state.logical_agent_id)


def test_a_field_can_be_given() -> None:
    assert example(AgentState, epoch=4).epoch == 4
    assert example(AgentState, instance_id=None).instance_id is None
    assert example_beat(status="stopping").status == "stopping"


def test_a_nested_value_is_given_by_some_of_its_fields() -> None:
    request = example(RegisterAgent, registration={"mode": "ondemand"})
    assert request.registration == example(Registration, mode=PurchaseMode.ONDEMAND)


def test_a_nested_value_is_given_whole() -> None:
    registration = example(Registration, region="eu-west-1")
    assert example(RegisterAgent, registration=registration).registration is registration


def test_a_list_is_given_by_some_fields_of_its_items() -> None:
    whole = example(AgentDetail, status=AgentStatus.ERROR)
    page = example(AgentPage, items=[{"agent_id": UUID(int=1)}, whole])
    assert page.items == [example(AgentDetail, agent_id=UUID(int=1)), whole]
    assert example(AgentPage, items=[]).items == []


def test_what_a_request_may_leave_unsaid_is_unsaid() -> None:
    assert example(ListAgents).model_fields_set == {"client_id"}


def test_an_example_that_cannot_be_is_refused() -> None:
    with pytest.raises(AssertionError, match="AgentState has no epok"):
        example(AgentState, epok=4)
    with pytest.raises(ValidationError):
        example(AgentState, instance_id="not an instance")
