package golden

import (
	"encoding/json"
	"strings"
)

// Decode fills v, whose fields have json tags, from a metadata entry that
// holds a Python dict literal of numbers, words, flags and lists; entries that
// v lacks are ignored.
func (f *File) Decode(key string, v any) {
	f.t.Helper()
	text := strings.NewReplacer("'", `"`, "(", "[", ")", "]", "True", "true", "False", "false", "None", "null").Replace(f.Text(key))
	if err := json.Unmarshal([]byte(text), v); err != nil {
		f.t.Fatalf("metadata %s is %q: %v", key, f.Text(key), err)
	}
}
