"""Sign with KMS: the private key never leaves it.

ECC_NIST_P256, `ECDSA_SHA_256`, `MessageType=RAW` (KMS hashes; at most 4,096 bytes), signature in DER
(https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html).
"""

from typing import Any

from headgate.store.dynamo import CALL_ERRORS, as_unavailable


class KmsKey:
    """One key of the pool. Its id is the `kid` of the tokens it signs. Raises `Unavailable` on any failure."""

    def __init__(self, kid: str, api: Any) -> None:
        self.kid, self._api = kid, api

    def sign(self, message: bytes) -> bytes:
        """Return the signature in DER."""
        return self._call("sign", "Signature", Message=message, MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256")

    def public_key(self) -> bytes:
        """Return the public key as a DER SubjectPublicKeyInfo."""
        return self._call("get_public_key", "PublicKey")

    def _call(self, operation: str, member: str, **arguments: Any) -> bytes:
        try:
            return bytes(getattr(self._api, operation)(KeyId=self.kid, **arguments)[member])
        except CALL_ERRORS as error:
            raise as_unavailable(error) from None
