"""How often Prefect's client tries again."""

from prefect.context import SettingsContext, get_settings_context


def retrying(most: int) -> SettingsContext:
    """Prefect's settings with another number of retries, to be entered.

    Prefect's own `temporary_settings` reads all settings anew, from files too, which
    takes longer than the request it is for.

    Args:
        most: Tries after the first.
    """
    now = get_settings_context()
    client = now.settings.client.model_copy(update={"max_retries": most})
    return SettingsContext(
        profile=now.profile, settings=now.settings.model_copy(update={"client": client})
    )
