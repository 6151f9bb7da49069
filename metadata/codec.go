package metadata

func AppendDeltas(dst []byte, deltas []Delta) []byte { panic("not built yet") }
func DecodeDeltas(b []byte) ([]Delta, error)         { panic("not built yet") }
func (im *Image) AppendTo(dst []byte) []byte         { panic("not built yet") }
func DecodeImage(b []byte) (*Image, error)           { panic("not built yet") }
