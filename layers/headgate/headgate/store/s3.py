"""One S3 bucket, to which objects are only added.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html. The bucket's own settings lock each object version
(S3 Object Lock), so the writer needs no right but this one and cannot shorten how long an object is kept.
"""

from typing import Any

from headgate.store.dynamo import AWS_ERRORS, as_unavailable


class S3Bucket:
    """A bucket by its name. Raises `Unavailable` on any failure."""

    def __init__(self, name: str, api: Any) -> None:
        self._name, self._api = name, api

    def put(self, name: str, content: bytes) -> None:
        """Write an object. S3 requires a checksum where objects are locked."""
        try:
            self._api.put_object(
                Bucket=self._name, Key=name, Body=content, ContentType="application/json", ChecksumAlgorithm="SHA256"
            )
        except AWS_ERRORS as error:
            raise as_unavailable(error) from None
