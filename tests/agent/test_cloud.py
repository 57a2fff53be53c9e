"""The simulated EC2: idempotent launches, ends, and a journal that brings all of it back."""

from datetime import timedelta
from pathlib import Path

import pytest

from spotkeeper_agent.cloud import CloudError, Launch, SimulatedCloud, UserData, place_of
from spotkeeper_agent.market import Fate
from tests.agent.worlds import BEGAN_AT, NAME, SEED, cloud_with_a_home, home_of

LATER = BEGAN_AT + timedelta(minutes=5)


def launch(cloud: SimulatedCloud, token: str = "token", az: str = "us-east-1b") -> Launch:
    return cloud.launch(
        "m5.large",
        region="us-east-1",
        az=az,
        mode="spot",
        client_token=token,
        user_data=UserData(NAME, switch={"trigger": "manual"}),
        now=LATER,
    )


def test_one_client_token_launches_one_instance() -> None:
    cloud = cloud_with_a_home()
    assert launch(cloud) is launch(cloud, az="us-east-1c")
    assert launch(cloud, "another").instance.instance_id != launch(cloud).instance.instance_id
    assert len(cloud.running()) == 3


def test_an_instance_that_ended_is_not_launched_again() -> None:
    cloud = cloud_with_a_home()
    cloud.terminate(launch(cloud).instance.instance_id)
    with pytest.raises(CloudError, match="has ended since"):
        launch(cloud)


def test_there_is_no_instance_where_there_is_no_pool() -> None:
    cloud = cloud_with_a_home()
    with pytest.raises(CloudError, match=r"us-east-1 has no m5\.large in us-east-1q"):
        launch(cloud, az="us-east-1q")
    assert len(cloud.running()) == 1


@pytest.mark.parametrize("pool", ["us-east-1b-pool-1", "", ".", "m5.large."])
def test_a_pool_of_somebody_elses_naming_is_no_pool(pool: str) -> None:
    with pytest.raises(CloudError, match="names no pool of EC2"):
        place_of(pool)


def test_the_metadata_announce_what_is_past_and_aws_ends_what_it_announced() -> None:
    cloud = cloud_with_a_home()
    instance_id = home_of(cloud).instance.instance_id
    fate = Fate(LATER, LATER + timedelta(minutes=3))
    cloud.interrupt(instance_id, fate)
    assert cloud.announced(instance_id, BEGAN_AT) == Fate()
    assert cloud.announced(instance_id, LATER) == Fate(LATER)
    assert cloud.announced(instance_id, LATER + timedelta(minutes=4)) == fate

    cloud.end_what_is_over(LATER + timedelta(minutes=4))
    assert cloud.is_running(instance_id)
    cloud.end_what_is_over(LATER + timedelta(minutes=5))
    assert not cloud.is_running(instance_id)
    assert cloud.was_interrupted(instance_id)
    assert cloud.interruptions(NAME) == 1


def kept(journal: Path) -> SimulatedCloud:
    """A world a day later, as the journal brings it back."""
    untouched = cloud_with_a_home()
    cloud = SimulatedCloud(untouched.market, seed=SEED, began_at=BEGAN_AT + timedelta(days=1))
    cloud.keep(journal)
    cloud.settle(NAME, home_of(untouched).instance, timedelta(hours=10))
    return cloud


def test_a_journal_brings_every_instance_back_as_it_was(tmp_path: Path) -> None:
    journal = tmp_path / "cloud.jsonl"
    cloud = cloud_with_a_home()
    cloud.keep(journal)
    launched = launch(cloud)
    home = home_of(cloud_with_a_home())
    cloud.interrupt(launched.instance.instance_id, Fate(LATER))
    cloud.terminate(home.instance.instance_id, by="aws")

    again = kept(journal)
    assert again.running() == cloud.running()
    assert again.began_at == BEGAN_AT
    assert again.was_interrupted(home.instance.instance_id)
    assert again.interruptions(NAME) == 1
    assert launch(again) == cloud.running()[0]


def test_a_line_that_a_crash_cut_off_is_as_if_it_had_not_happened(tmp_path: Path) -> None:
    journal = tmp_path / "cloud.jsonl"
    cloud = cloud_with_a_home()
    cloud.keep(journal)
    launch(cloud)
    whole = journal.read_text()
    journal.write_text(whole[:-20])

    again = kept(journal)
    assert again.running() == [home_of(cloud_with_a_home())]
    launch(again)
    assert journal.read_text() == whole
