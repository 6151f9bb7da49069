package guard

import "testing"

func TestAGuardHoldsUntilItIsRemoved(t *testing.T) {
	restore := StepBack.Remove()
	if StepBack.Holds() || !TruncateByEpoch.Holds() || !LeaderEpoch.Holds() {
		t.Fatal("Remove must take away this guard and no other")
	}
	restore()
	if !StepBack.Holds() {
		t.Fatal("restore must bring the guard back")
	}
}

func TestEveryGuardHasAName(t *testing.T) {
	seen := map[string]Guard{}
	for g := TruncateByEpoch; g <= OwnSession; g++ {
		name := g.String()
		if name == "unknown guard" {
			t.Errorf("guard %d has no name", g)
		}
		if other, ok := seen[name]; ok {
			t.Errorf("guards %d and %d are both called %q", other, g, name)
		}
		seen[name] = g
	}
}

func BenchmarkHolds(b *testing.B) {
	for b.Loop() {
		if !MaximalISR.Holds() {
			b.Fatal("removed")
		}
	}
}
