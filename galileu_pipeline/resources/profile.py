"""The active profile, as a resource."""

from functools import cached_property

import dagster as dg

from galileu_pipeline.profiles.schema import Profile, load_profile


class ProfileResource(dg.ConfigurableResource):
    """Which profile a run uses. `GALILEU_PROFILE` decides; run config may name another."""

    name: str

    @cached_property
    def settings(self) -> Profile:
        """The profile's settings.

        Raises:
            SettingsError: there is no such profile, or a field of it is wrong.
        """
        return load_profile(self.name)
