"""What these tests need beside robowm; where it is missing they skip and say what."""

import os

import pytest

from robowm.errors import UserError
from robowm.sim.simpler import needs


@pytest.fixture(scope="session")
def simpler_package() -> None:
    """ManiSkill is installed; told where its meshes are before anyone imports it."""
    if needs.installed("mani-skill") is None:
        pytest.skip("mani-skill is not installed: pip install 'robowm[simpler]'")
    os.environ.update(needs.environment())


@pytest.fixture(scope="session")
def simpler(simpler_package: None) -> dict[str, str]:
    """A SIMPLER simulator can start; what `prepare` says of it."""
    try:
        return needs.prepare()
    except UserError as error:
        pytest.skip(str(error))
