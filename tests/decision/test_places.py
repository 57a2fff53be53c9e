"""Where pools lie, by names of every kind that people give them."""

import pytest

from decision.places import named_pool, place_of, region_of, zone_in
from decision.prior import Advisor, PriorRates
from spotkeeper_contracts.values import pool_name

TYPES = (
    *("t2.nano", "t3.micro", "t4g.small", "t3a.medium", "m5.large", "m5dn.xlarge", "c6gn.16xlarge"),
    *("m7i-flex.large", "c8i-flex.2xlarge", "c7a.metal-48xl", "c7gd.metal", "c7i.metal-24xl"),
    *("r7iz.metal-16xl", "r8g.metal-96xl", "x1e.32xlarge", "x2iedn.metal", "x8g.48xlarge"),
    *(
        "i4i.metal",
        "i7ie.metal-24xl",
        "im4gn.large",
        "is4gen.medium",
        "d3en.12xlarge",
        "h1.2xlarge",
    ),
    *("z1d.metal", "a1.metal", "hpc7a.96xlarge", "hpc6id.32xlarge", "u-6tb1.112xlarge"),
    *("u-12tb1.metal", "u7i-12tb.224xlarge", "u7in-16tb.224xlarge", "u7inh-32tb.480xlarge"),
    *("mac1.metal", "mac2.metal", "mac2-m2pro.metal", "mac2-m1ultra.metal", "mac-m4.metal"),
    *("p3.2xlarge", "p3dn.24xlarge", "p4de.24xlarge", "p5en.48xlarge", "p6-b200.48xlarge"),
    *(
        "p6e-gb200.36xlarge",
        "g4dn.metal",
        "gr6.4xlarge",
        "g6e.48xlarge",
        "inf2.xlarge",
        "f2.6xlarge",
    ),
    *("trn1.32xlarge", "trn1n.32xlarge", "trn2u.48xlarge", "dl1.24xlarge", "dl2q.24xlarge"),
    *("vt1.3xlarge", "cc2.8xlarge", "hs1.8xlarge"),
)
REGIONS = {
    "us-east-1a": "us-east-1",
    "us-gov-west-1b": "us-gov-west-1",
    "us-isob-east-1a": "us-isob-east-1",
    "ap-southeast-4c": "ap-southeast-4",
    "ca-west-1a": "ca-west-1",
    "il-central-1a": "il-central-1",
    "mx-central-1b": "mx-central-1",
    "sa-east-1c": "sa-east-1",
    "us-east-1-bos-1a": "us-east-1",
    "us-west-2-lax-1b": "us-west-2",
    "cn-north-1a": "cn-north-1",
    "cn-northwest-1b": "cn-northwest-1",
    "eusc-de-east-1a": "eusc-de-east-1",
}
FORMS = (
    *(f"{{type}}{sign}{{zone}}" for sign in (".", "-", "_", "/", ":", "|", "@", " ", ", ")),
    *(f"{{zone}}{sign}{{type}}" for sign in (".", "-", "_", "/", ":", "|", "@", " ", ", ")),
    *(
        "spot-{type}-{zone}",
        "pool-1-{type}.{zone}",
        "{type}-{zone}-pool-1",
        "{region}-{zone}-{type}",
    ),
    *("{region}/{zone}/{type}", "aws:{region}:{zone}:{type}:Linux/UNIX", "nano.{type}.{zone}"),
)


@pytest.mark.parametrize("instance_type", TYPES)
def test_a_name_tells_its_type_and_zone_in_every_form(instance_type: str) -> None:
    names = {
        form.format(type=instance_type, zone=az, region=REGIONS[az]): az
        for form in FORMS
        for az in REGIONS
    }
    assert {name: named_pool(name) for name in names} == {
        name: (instance_type, az) for name, az in names.items()
    }


@pytest.mark.parametrize("az", REGIONS)
def test_a_zone_tells_its_region(az: str) -> None:
    assert region_of(az) == REGIONS[az]
    assert zone_in(f"{az}-pool-1") == az


def test_a_zone_of_a_region_unheard_of_tells_it_as_well() -> None:
    assert region_of("us-northcentral-1a") == "us-northcentral-1"


@pytest.mark.parametrize(
    "name",
    ["m5.large", "m5.large.us-east-1", "m5.large-use1-az1", "use1-az1", "m5.large.us-east-1ab"],
)
def test_who_names_no_zone_is_where_the_agent_is(name: str) -> None:
    assert (zone_in(name), named_pool(name)) == (None, None)
    place = place_of(name, instance_type="c5.large", region="eu-west-1")
    assert place == ("c5.large", "eu-west-1", None)


def test_a_zone_alone_is_the_one_known_pool_there() -> None:
    here, there = ("p3.2xlarge", "us-west-2a"), ("p3.2xlarge", "us-west-2b")
    assert named_pool("us-west-2a-pool-1", [here, there]) == here
    assert named_pool("us-west-2a-pool-1", [here, ("m5.large", "us-west-2a")]) is None


@pytest.mark.parametrize("instance_type", ["c7i.metal-24xl", "c7i.metal-48xl", "u-6tb1.112xlarge"])
def test_a_pool_has_the_siblings_and_the_band_of_its_very_type(instance_type: str) -> None:
    pool_id = pool_name(instance_type, "us-east-1a")
    place = place_of(pool_id, instance_type="c5.large", region="eu-west-1")
    assert place.group == f"{instance_type}.us-east-1"
    advisor = Advisor({("us-east-1", instance_type): 3, ("us-east-1", "c7i.metal"): 0})
    assert advisor.prior_per_h(place.instance_type, place.region) == PriorRates().bands[3]
