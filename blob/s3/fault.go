package s3

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/minio/minio-go/v7"

	"roost/blob"
	"roost/blob/wire"
)

// code is the word for the server's refusal that err is; "" if it is none.
func code(err error) string {
	var r minio.ErrorResponse
	if errors.As(err, &r) {
		return r.Code
	}
	return ""
}

// status is the status of the answer that err is; 0 if it is none.
func status(err error) int {
	var r minio.ErrorResponse
	if errors.As(err, &r) {
		return r.StatusCode
	}
	return 0
}

// fault says what an error means to a bucket.
func fault(err error) error {
	var r minio.ErrorResponse
	if err == nil || !errors.As(err, &r) {
		return wire.Fault(err)
	}
	switch r.Code {
	case "NoSuchKey", "NoSuchBucket":
		return blob.ErrNotExist
	case "PreconditionFailed":
		return blob.ErrExist
	case "SlowDown", "TooManyRequests", "Throttling", "ThrottlingException", "RequestLimitExceeded", "ServiceUnavailable":
		return blob.Temporary(fmt.Errorf("%w: %s", blob.ErrBusy, said(err)))
	case "QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded":
		return fmt.Errorf("%w: %s", blob.ErrNoSpace, said(err))
	case "BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody", "RequestTimeout", "ConditionalRequestConflict", "OperationAborted":
		return blob.Temporary(errors.New(said(err)))
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "AccessDenied",
		"XAdminUserNotFound": // QUIRK: versitygw 1.8 knows no such key, with status 404
		return fmt.Errorf("%w: %s", blob.ErrAccess, said(err))
	case "AuthorizationHeaderMalformed", "InvalidRegion":
		if r.Region != "" { // the client has learned where the server is, and signs for there the next time
			return blob.Temporary(errors.New(said(err)))
		}
	}
	if r.StatusCode == 0 || r.StatusCode == http.StatusNotFound {
		return errors.New(said(err)) // the client's own; or something is missing that is no object
	}
	return wire.Status(r.StatusCode, said(err))
}

// vesselFault is fault for a PUT or a listing, which miss no object: what is not there is the vessel.
func vesselFault(err error) error {
	if mapped := fault(err); !errors.Is(mapped, blob.ErrNotExist) {
		return mapped
	}
	return errors.New("there is no bucket of that name at the server")
}
