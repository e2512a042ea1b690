import traceback

import pytest
from pydantic import ValidationError

from stream.kafka_client import connection, faust_connection, servers, tls_context
from stream.settings import Settings

PASSWORD = "correct-horse-battery"


def test_environment_is_read(monkeypatch):
    monkeypatch.setenv("TONEWATCH_PARTITIONS", "6")
    assert Settings().partitions == 6


def test_settings_are_frozen():
    with pytest.raises(ValidationError):
        Settings().partitions = 3


def test_secret_comes_from_the_file_and_is_shown_nowhere(monkeypatch, tmp_path):
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    monkeypatch.setenv("TONEWATCH_KAFKA_PASSWORD_FILE", str(file))
    settings = Settings()
    assert settings.kafka_password.get_secret_value() == PASSWORD
    assert PASSWORD not in repr(settings) + str(settings) + settings.model_dump_json()


def test_unreadable_secret_file_is_named(monkeypatch):
    monkeypatch.setenv("TONEWATCH_DATABASE_PASSWORD_FILE", "/does/not/exist")
    with pytest.raises(ValidationError, match="TONEWATCH_DATABASE_PASSWORD_FILE names /does/not/exist"):
        Settings()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"database": f"mysql://root:{PASSWORD}@db/x"}, "write sqlite:///FILE or postgresql://"),
        ({"kafka_security_protocol": "TLS"}, "SASL_SSL"),
        ({"kafka_security_protocol": "SASL_SSL"}, "TONEWATCH_KAFKA_USERNAME is empty"),
        ({"topic_prefix": "a b"}, "topic_prefix"),
        ({"partitions": 0}, "greater than or equal to 1"),
    ],
)
def test_wrong_value_is_refused_without_showing_secrets(wrong, says):
    with pytest.raises(ValidationError) as caught:
        Settings(kafka_password=PASSWORD, **wrong)
    shown = "".join(traceback.format_exception(caught.value))
    assert says in shown
    assert PASSWORD not in shown


@pytest.mark.parametrize("kafka", ["localhost", "a:1,b", "", "host:port"])
def test_server_without_a_port_is_refused(kafka):
    with pytest.raises(ValueError, match="write HOST:PORT"):
        servers(Settings(kafka=kafka))


def test_sasl_over_tls_reaches_aiokafka_and_faust():
    settings = Settings(
        kafka="a:1, b:2", kafka_security_protocol="SASL_SSL", kafka_username="tone", kafka_password=PASSWORD
    )
    ours = connection(settings)
    assert ours["bootstrap_servers"] == ["a:1", "b:2"]
    assert (ours["security_protocol"], ours["sasl_mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (ours["sasl_plain_username"], ours["sasl_plain_password"]) == ("tone", PASSWORD)
    assert ours["ssl_context"].check_hostname

    # What Faust makes of its credentials is what aiokafka gets under it: the two must not drift apart.
    from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

    theirs = faust_connection(settings)
    made = credentials_to_aiokafka_auth(theirs["broker_credentials"], None)
    assert theirs["broker"] == "kafka://a:1;kafka://b:2"
    for name in ("security_protocol", "sasl_mechanism", "sasl_plain_username", "sasl_plain_password"):
        assert made[name] == ours[name]
    assert made["ssl_context"].check_hostname


def test_plaintext_gives_faust_no_credentials():
    assert set(faust_connection(Settings())) == {"broker"}


def test_bad_authority_file_is_named(tmp_path):
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with pytest.raises(ValueError, match=r"TONEWATCH_KAFKA_CA_FILE names .*ca\.pem"):
        tls_context(Settings(kafka_security_protocol="SSL", kafka_ca_file=file))
