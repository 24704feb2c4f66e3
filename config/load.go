package config

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/agnivade/levenshtein"
)

//go:embed presets/*.toml
var presets embed.FS

// ErrNoPreset: a name that no preset has.
var ErrNoPreset = errors.New("config: no preset")

// Presets are the names that Load knows.
func Presets() []string {
	files, _ := presets.ReadDir("presets")
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), ".toml"))
	}
	return names
}

// Load returns a preset by name, or the configuration in a file when the name ends in ".toml".
func Load(name string) (*Config, error) {
	if strings.HasSuffix(name, ".toml") {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("config: %w", err)
		}
		c, err := Parse(text)
		if err == nil {
			err = named(text)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return c, nil
	}
	text, err := preset(name)
	if err != nil {
		return nil, err
	}
	return Parse(text)
}

// named says what is wrong with the name of a configuration, which its runs' folder has too.
func named(text []byte) error {
	var own struct {
		Name string `toml:"name"`
	}
	if _, err := toml.Decode(string(text), &own); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if own.Name == "" || own.Name != filepath.Base(own.Name) || own.Name == "." || own.Name == ".." {
		return fmt.Errorf("config: name is %q; it must be that of a folder, in which runs of this configuration are", own.Name)
	}
	return nil
}

// preset is the text of an embedded file.
func preset(name string) ([]byte, error) {
	text, err := presets.ReadFile("presets/" + name + ".toml")
	if err != nil {
		return nil, fmt.Errorf("%w %q; did you mean %q? (presets: %s; a file's name ends in .toml)",
			ErrNoPreset, name, nearest(name, Presets()), strings.Join(Presets(), ", "))
	}
	return text, nil
}

// Parse reads a configuration. Unknown keys are errors that name the nearest
// valid one. The key "base" names a preset to start from: keys replace the
// preset's, growths follow the preset's. What a growth leaves out is as in [distill].
func Parse(text []byte) (*Config, error) {
	var c Config
	if err := c.decode(text); err != nil {
		return nil, err
	}
	return &c, c.Validate()
}

func (c *Config) decode(text []byte) error {
	texts, err := withBase(text)
	if err != nil {
		return err
	}
	for _, text := range texts {
		meta, err := toml.Decode(text, c)
		if err != nil {
			return fmt.Errorf("config: %w", err)
		}
		for _, key := range meta.Undecoded() {
			if name := key.String(); name != "base" {
				return fmt.Errorf("config: unknown key %q; did you mean %q?", name, nearest(name, keys(reflect.TypeFor[Config](), "")))
			}
		}
	}
	c.Grow = nil
	for _, text := range texts { // growths are decoded again on top of [distill]
		var own struct {
			Grow []toml.Primitive `toml:"grow"`
		}
		meta, err := toml.Decode(text, &own)
		for _, primitive := range own.Grow {
			grow := Grow{Distill: c.Distill}
			err = errors.Join(err, meta.PrimitiveDecode(primitive, &grow))
			c.Grow = append(c.Grow, grow)
		}
		if err != nil {
			return fmt.Errorf("config: %w", err)
		}
	}
	return nil
}

// withBase are the texts that a configuration consists of: those of the presets it starts from, then its own.
func withBase(text []byte) ([]string, error) {
	var start struct {
		Base string `toml:"base"`
	}
	if _, err := toml.Decode(string(text), &start); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if start.Base == "" {
		return []string{string(text)}, nil
	}
	below, err := preset(start.Base)
	if err != nil {
		return nil, err
	}
	texts, err := withBase(below)
	return append(texts, string(text)), err
}

// Encode writes a configuration so that Parse reads it back.
func (c *Config) Encode() ([]byte, error) {
	var b bytes.Buffer
	err := toml.NewEncoder(&b).Encode(c)
	return b.Bytes(), err
}

// keys lists the dotted names of a struct's fields.
func keys(t reflect.Type, prefix string) []string {
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		name := prefix + f.Tag.Get("toml")
		switch {
		case f.Anonymous:
			out = append(out, keys(f.Type, prefix)...)
		case f.Type.Kind() == reflect.Struct:
			out = append(out, keys(f.Type, name+".")...)
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			out = append(out, keys(f.Type.Elem(), name+".")...)
		default:
			out = append(out, name)
		}
	}
	return out
}

// notFinite is the dotted name of a number that is none, or empty.
func notFinite(v reflect.Value, prefix string) string {
	for i := range v.NumField() {
		f, tag := v.Field(i), v.Type().Field(i)
		name := prefix + tag.Tag.Get("toml")
		found := ""
		switch {
		case tag.Anonymous:
			found = notFinite(f, prefix)
		case f.Kind() == reflect.Struct:
			found = notFinite(f, name+".")
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct:
			for k := 0; k < f.Len() && found == ""; k++ {
				found = notFinite(f.Index(k), fmt.Sprintf("%s %d: ", name, k+1))
			}
		case f.Kind() == reflect.Float64 && (math.IsNaN(f.Float()) || math.IsInf(f.Float(), 0)):
			found = name
		}
		if found != "" {
			return found
		}
	}
	return ""
}

func nearest(name string, valid []string) string {
	return slices.MinFunc(valid, func(a, b string) int {
		return levenshtein.ComputeDistance(name, a) - levenshtein.ComputeDistance(name, b)
	})
}

func sorted(m map[string]float64) []string { return slices.Sorted(maps.Keys(m)) }
