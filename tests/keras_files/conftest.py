"""The files that the Keras process made for the tests of this folder."""

import pytest

from bridge.errors import BridgeError


@pytest.fixture(scope="session")
def made(keras, tmp_path_factory):
    """case -> (folder with that model in all formats, what Keras said of it); each is made once."""
    cache = {}

    def one(case, **options):
        key = (case, *options)
        if key not in cache:
            folder = tmp_path_factory.mktemp(case)
            cache[key] = folder, keras("make", case=case, folder=folder, **options)
        return cache[key]

    return one


@pytest.fixture(scope="session")
def refusal(keras):
    """Runs a job that must be refused in one to three lines that match `text`; returns the message."""

    def run(text, job="read", **arguments):
        with pytest.raises(BridgeError, match=text) as caught:
            keras(job, **arguments)
        assert 1 <= len(str(caught.value).splitlines()) <= 3
        return str(caught.value)

    return run


@pytest.fixture(scope="session")
def saved(keras, tmp_path_factory):
    """kind -> (folder of a SavedModel that the tests' process made, its outputs); each is made once."""
    cache = {}

    def one(job, **options):
        key = (job, *options.values())
        if key not in cache:
            folder = tmp_path_factory.mktemp(job) / "saved"
            cache[key] = folder, keras(job, folder=folder, **options)
        return cache[key]

    return one
