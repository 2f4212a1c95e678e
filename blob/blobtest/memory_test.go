package blobtest_test

import (
	"testing"

	"roost/blob"
	"roost/blob/blobtest"
)

func TestMemoryKeepsTheContracts(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Bucket { return &blobtest.Memory{} })
}
