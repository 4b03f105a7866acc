"""A RabbitMQ of Debian's package as a child of the tests: its own folder, name, ports and epmd, on loopback alone.

The service of the package need not run, and is never touched.
"""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from server_process import until

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Not the one in PATH: that changes to the user rabbitmq and its folders."""
LIMIT_S = 120.0
"""For a start; it takes 5 s on an idle machine."""


class RabbitNode:
    """One node. What is durable in it stays over `kill` and `start`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port, self._distribution_port, self._epmd_port = _free_ports(3)
        (folder / "plugins").write_text("[].")
        self._environment = self._variables()
        epmd = shutil.which("epmd")
        assert epmd is not None, "epmd is missing, a part of erlang-base"
        self._epmd = subprocess.Popen(
            [epmd, "-port", str(self._epmd_port), "-address", "127.0.0.1"], env=self._environment
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its own guest may come in from this machine only."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Until it takes connections."""
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [SERVER], env=self._environment, stdout=output, stderr=output, start_new_session=True
            )
        process = self._process
        until(lambda: self._is_listening() or process.poll() is not None, "RabbitMQ takes connections", LIMIT_S)
        assert process.poll() is None, (self._folder / "output").read_text(errors="replace")[-2000:]

    def kill(self) -> None:
        """As a power cut would: nothing is written any more."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """The node and its epmd end."""
        self._end(signal.SIGTERM)
        self._epmd.terminate()
        self._epmd.wait(LIMIT_S)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, how)
            self._process.wait(LIMIT_S)
            self._process = None

    def _is_listening(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
        except OSError:
            return False
        return True

    def _variables(self) -> dict[str, str]:
        folder = self._folder
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(folder),  # where Erlang keeps its cookie
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"evquota{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
            "RABBITMQ_SCHEMA_DIR": str(folder / "schema"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
        }


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports
