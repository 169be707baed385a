"""``users`` serves, ``users migrate`` migrates."""

from microdemo_core.cli import run
from microdemo_users.app import MIGRATIONS, create_app
from microdemo_users.settings import UsersSettings


def main() -> None:
    run("users", create_app, UsersSettings, MIGRATIONS)


if __name__ == "__main__":
    main()
