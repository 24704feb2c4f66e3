package golden

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
)

// token is what Python writes otherwise than JSON: words, brackets, constants,
// and a comma in front of a closing bracket.
var token = regexp.MustCompile(`'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|,\s*[)\]}]|[()]|\b(?:True|False|None)\b`)

// Decode fills v, whose fields have json tags, from a metadata entry that holds
// a Python or JSON literal of numbers, words, flags, lists and dicts; entries
// that v lacks are ignored.
func (f *File) Decode(key string, v any) {
	f.t.Helper()
	f.decode(key, v, func(*json.Decoder) {})
}

// DecodeAll is Decode where v must have a field for every entry.
func (f *File) DecodeAll(key string, v any) {
	f.t.Helper()
	f.decode(key, v, (*json.Decoder).DisallowUnknownFields)
}

func (f *File) decode(key string, v any, configure func(*json.Decoder)) {
	f.t.Helper()
	d := json.NewDecoder(strings.NewReader(toJSON(f.Text(key))))
	configure(d)
	if err := d.Decode(v); err != nil {
		f.t.Fatalf("metadata %s is %q: %v", key, f.Text(key), err)
	}
}

// toJSON rewrites a Python literal.
func toJSON(literal string) string {
	return token.ReplaceAllStringFunc(literal, func(t string) string {
		switch t[0] {
		case '\'':
			return strconv.Quote(strings.ReplaceAll(t[1:len(t)-1], `\'`, `'`))
		case '"':
			return t
		case ',':
			t = t[len(t)-1:]
		}
		switch t {
		case "(":
			return "["
		case ")":
			return "]"
		case "True", "False":
			return strings.ToLower(t)
		case "None":
			return "null"
		}
		return t
	})
}
