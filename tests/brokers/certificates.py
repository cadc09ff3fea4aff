"""TLS certificates for a test: made on the spot, valid for a day."""

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KEY_PASSWORD = "not-a-secret-either"


@dataclass(frozen=True)
class Certificates:
    """PEM files of an authority, a broker on the loopback address and a client whose key has KEY_PASSWORD."""

    ca: Path
    broker: Path  # key and certificate in one file, as Kafka wants them
    client: Path
    client_key: Path


def write_certificates(folder: Path) -> Certificates:
    """A new authority and two certificates of it, valid for a day."""
    files = Certificates(folder / "ca.pem", folder / "broker.pem", folder / "client.pem", folder / "client-key.pem")
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("test authority")
    ca = _sign(_builder(ca_name, ca_key, ca_name, ca_key, authority=True), ca_key)
    files.ca.write_bytes(_pem(ca))
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))])
    server = _builder(_name("test broker"), key, ca_name, ca_key).add_extension(names, critical=False)
    server = server.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    files.broker.write_bytes(_private(key, serialization.NoEncryption()) + _pem(_sign(server, ca_key)))
    key = ec.generate_private_key(ec.SECP256R1())
    client = _builder(_name("test client"), key, ca_name, ca_key)
    client = client.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    files.client.write_bytes(_pem(_sign(client, ca_key)))
    files.client_key.write_bytes(_private(key, serialization.BestAvailableEncryption(KEY_PASSWORD.encode())))
    return files


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    name: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    authority: bool = False,
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    usage = x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder(issuer_name=issuer, subject_name=name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )


def _sign(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    return builder.sign(key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey, encryption: serialization.KeySerializationEncryption) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
