package wire

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/brokersim/brokersim/metadata"
)

func TestErrorTableIsCompleteAndUnambiguous(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../metadata/errors.go", nil, 0)
	require.NoError(t, err)
	sentinels := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			sentinels += len(spec.Names)
		}
		return true
	})
	require.Len(t, errorTable, sentinels, "every sentinel of metadata/errors.go needs a code")

	codes, errs := map[int16]bool{}, map[error]bool{}
	for _, row := range errorTable {
		require.False(t, codes[row.kafka.Code], "%v: code %d twice", row.err, row.kafka.Code)
		require.False(t, errs[row.err], "%v twice", row.err)
		codes[row.kafka.Code], errs[row.err] = true, true

		wrapped := fmt.Errorf("orders-0 at offset 42: %w", row.err)
		require.Equal(t, row.kafka.Code, Code(wrapped))
		require.ErrorIs(t, Err(row.kafka.Code), row.err)
	}
}

func TestCodesBeyondTheTable(t *testing.T) {
	require.Zero(t, Code(nil))
	require.NoError(t, Err(0))
	require.Equal(t, kerr.UnknownServerError.Code, Code(errors.New("something else")))
	require.Equal(t, kerr.UnknownMemberID.Code, Code(Err(kerr.UnknownMemberID.Code)), "no sentinel of ours, but Kafka's")
	require.ErrorIs(t, Err(-1), metadata.ErrUnknownServer)
	require.ErrorIs(t, Err(31999), metadata.ErrUnknownServer)
}
