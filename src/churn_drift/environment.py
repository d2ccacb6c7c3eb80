"""Settings and secrets of .env, for the entry points: nothing else reads them from a file."""

from pathlib import Path


def read_env() -> None:
    """Put what .env says into the environment, where the environment does not have it."""
    if Path(".env").exists():
        from dotenv import load_dotenv

        load_dotenv(".env", override=False)
