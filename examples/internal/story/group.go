package story

import (
	"fmt"
	"slices"
	"strings"

	"github.com/brokersim/brokersim"
)

// Owners says who owns which partitions of Topic, by client id: "ann [0 2], bob [1]".
func Owners(g brokersim.GroupState) string {
	var parts []string
	for _, m := range g.Members {
		parts = append(parts, fmt.Sprintf("%s %v", m.ClientID, m.Owns[Topic]))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
