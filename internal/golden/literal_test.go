package golden

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestLiteral(t *testing.T) {
	for literal, want := range map[string]any{
		"(1,)":                              []any{1.},
		"(1, 2.5e-3)":                       []any{1., 0.0025},
		"{'a': (1,), 'b': True, 'c': None}": map[string]any{"a": []any{1.}, "b": true, "c": nil},
		`{"a": [1, 2], "b": true}`:          map[string]any{"a": []any{1., 2.}, "b": true},
		`['None (1,)', "it's", 'it\'s']`:    []any{"None (1,)", "it's", "it's"},
		"[]":                                []any{},
	} {
		var got any
		if err := json.Unmarshal([]byte(toJSON(literal)), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is read as %v (%v)", literal, got, err)
		}
	}
}
