package wire

import (
	"reflect"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrorAnswer returns the response to req that says nothing but code: in its
// top-level field where it has one, and in an item of its own for everything
// that req names (topics, partitions, groups, ...). It serves those who answer
// in a broker's stead: injected faults, requests that cannot be relayed.
func ErrorAnswer(req kmsg.Request, code int16) kmsg.Response {
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	mirror(reflect.ValueOf(resp).Elem(), reflect.ValueOf(req).Elem(), code)
	return resp
}

// ErrorAnswerFrame is ErrorAnswer for encoded messages: a request frame in, a
// response frame out, both without their length. nil: the request cannot be read.
func ErrorAnswerFrame(request []byte, code int16) []byte {
	h, req, err := DecodeRequest(request)
	if err != nil {
		return nil
	}
	return AppendResponse(nil, h.CorrelationID, ErrorAnswer(req, code))[4:]
}

// mirror copies into resp what req names under the same names, item by item,
// and sets every error code on the way. Lists that req does not have become
// empty, not null: some clients do not check.
func mirror(resp, req reflect.Value, code int16) {
	if d, ok := resp.Addr().Interface().(interface{ Default() }); ok {
		d.Default()
	}
	for i := range resp.NumField() {
		field, name := resp.Field(i), resp.Type().Field(i).Name
		if name == "Version" || name == "UnknownTags" {
			continue
		}
		if name == "ErrorCode" && field.Kind() == reflect.Int16 {
			field.SetInt(int64(code))
			continue
		}
		named := req.FieldByName(name)
		switch {
		case field.Kind() == reflect.Slice:
			mirrorList(field, named, code)
		case named.IsValid() && named.Type() == field.Type():
			field.Set(named)
		}
	}
}

func mirrorList(list, named reflect.Value, code int16) {
	if !named.IsValid() || named.Kind() != reflect.Slice || list.Type().Elem().Kind() != reflect.Struct {
		list.Set(reflect.MakeSlice(list.Type(), 0, 0))
		return
	}
	items := reflect.MakeSlice(list.Type(), named.Len(), named.Len())
	for i := range named.Len() {
		switch item := named.Index(i); item.Kind() {
		case reflect.Struct:
			mirror(items.Index(i), item, code)
		default: // a list of ids: the item is what identifies the answer
			identify(items.Index(i), item, code)
		}
	}
	list.Set(items)
}

// identify sets the first field of item that can hold id, and its error code.
func identify(item, id reflect.Value, code int16) {
	if d, ok := item.Addr().Interface().(interface{ Default() }); ok {
		d.Default()
	}
	set := false
	for i := range item.NumField() {
		switch field := item.Field(i); {
		case item.Type().Field(i).Name == "ErrorCode":
			field.SetInt(int64(code))
		case !set && field.Type() == id.Type():
			field.Set(id)
			set = true
		}
	}
}
