"""Exposure: its buckets are stored by name, so the names stay.

It may not book anything.
"""

from refunds.exposure import ExposureBucket


def test_the_buckets_keep_the_names_under_which_they_are_stored() -> None:
    assert [bucket.value for bucket in ExposureBucket] == ["platform", "exposed", "recovered"]
