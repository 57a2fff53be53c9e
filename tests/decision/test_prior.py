"""The prior: the advisor's bands as rates, and what stands in where there is no band."""

import pytest
from pydantic import ValidationError

from decision.prior import Advisor, PriorRates, advisor_of
from decision.settings import DecisionSettings

FEED = {
    "spot_advisor": {
        "us-east-1": {
            "Linux": {"t3.medium": {"s": 70, "r": 0}, "p3.2xlarge": {"s": 70, "r": 4}},
            "Windows": {"c5.large": {"s": 40, "r": 3}},
        },
        "eu-west-1": {"Linux": {"m5.large": {"s": 60, "r": 1}, "p3.2xlarge": {"s": 60, "r": 2}}},
        "sa-east-1": {"Linux": {"m5.large": {"s": 60, "r": 3}}},
        "us-west-2": {"Linux": {"m5.large": {"s": 60, "r": 2}}},
    }
}


@pytest.mark.parametrize(
    ("band", "rate"), [(0, 3.5e-5), (1, 1.1e-4), (2, 1.8e-4), (3, 2.6e-4), (4, 1e-2)]
)
def test_a_band_is_a_rate(band: int, rate: float) -> None:
    assert Advisor({("us-east-1", "m5.large"): band}).prior_per_h("m5.large", "us-east-1") == rate


def test_the_feed_is_read_by_region_and_for_linux_alone() -> None:
    advisor = advisor_of(FEED)
    assert advisor.prior_per_h("p3.2xlarge", "us-east-1") == 1e-2
    assert advisor.prior_per_h("p3.2xlarge", "eu-west-1") == 1.8e-4
    assert advisor.prior_per_h("c5.large", "us-east-1") == PriorRates().small


def test_a_type_known_elsewhere_has_its_median_band() -> None:
    assert advisor_of(FEED).prior_per_h("m5.large", "ap-south-1") == 1.8e-4


@pytest.mark.parametrize(
    ("instance_type", "rate"),
    [
        ("t4g.2xlarge", 9e-5),
        ("m5.large", 1.3e-4),
        ("c6g.xlarge", 1.7e-4),
        ("r5.6xlarge", 1.7e-4),
        ("r5.8xlarge", 1.9e-4),
        ("m5.metal", 1.9e-4),
        ("p4d.24xlarge", 1e-2),
        ("g5.xlarge", 1e-2),
        ("inf2.xlarge", 1e-2),
        ("trn1.2xlarge", 1e-2),
        ("dl1.24xlarge", 1e-2),
        ("vt1.3xlarge", 1e-2),
        ("f1.2xlarge", 1e-2),
        ("im4gn.large", 1.3e-4),
        ("nonsense", 1.9e-4),
    ],
)
def test_a_type_known_nowhere_has_its_class(instance_type: str, rate: float) -> None:
    assert Advisor().prior_per_h(instance_type, "us-east-1") == rate


def test_the_rates_are_configuration() -> None:
    advisor = advisor_of(FEED, PriorRates(bands=(1e-6, 1e-5, 1e-4, 1e-3, 1e-1)))
    assert advisor.prior_per_h("p3.2xlarge", "us-east-1") == 1e-1


@pytest.mark.parametrize(
    ("feed", "complaint"),
    [
        ({}, "no spot_advisor"),
        ({"spot_advisor": []}, "no spot_advisor"),
        ({"spot_advisor": {"eu": {"Linux": {"m5.large": {"r": 5}}}}}, "m5.large in eu is 5"),
        ({"spot_advisor": {"eu": {"Linux": {"m5.large": {"r": "1"}}}}}, "m5.large in eu is '1'"),
        ({"spot_advisor": {"eu": {"Linux": {"m5.large": {}}}}}, "m5.large in eu is None"),
    ],
)
def test_another_file_is_refused(feed: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        advisor_of(feed)


@pytest.mark.parametrize("rate", ["0", "-1", '"NaN"'])
def test_a_rate_that_nothing_can_be_divided_by_is_refused(
    rate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPOTKEEPER_PRIOR_BANDS", f"[{rate}, 1e-4, 2e-4, 3e-4, 1e-2]")
    with pytest.raises(ValidationError):
        DecisionSettings()
