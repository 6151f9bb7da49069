package coordinator

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
)

// identityFile says whose directory it is, in Kafka's format. It is written once, at
// the first start on a directory that is to last; memory needs none.
const identityFile = "meta.properties"

// identify refuses the directory of another cluster or another node. known reports
// whether the directory has been this node's before.
func identify(disk vfs.FS, cluster string, id int32) (known bool, err error) {
	found, err := vfs.ReadFile(disk, identityFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case string(found) != identity(cluster, id):
		return false, fmt.Errorf("%w: the directory belongs to another node, by its %s (%s); use another directory",
			metadata.ErrInconsistentClusterID, identityFile, strings.Join(strings.Fields(string(found)), " "))
	}
	return true, nil
}

func identity(cluster string, id int32) string {
	return fmt.Sprintf("#\ncluster.id=%s\nnode.id=%d\nversion=1\n", cluster, id)
}

// claim makes the directory this node's.
func claim(disk vfs.FS, cluster string, id int32) error {
	return vfs.WriteFileSynced(disk, identityFile, []byte(identity(cluster, id)))
}
