package stage

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pagoda-go/pagoda/checkpoint"
	"github.com/pagoda-go/pagoda/config"
	"github.com/pagoda-go/pagoda/data/pairs"
)

// Status is how far one stage of a run is.
type Status struct {
	Stage string
	File  string // what it leaves in the run folder
	Done  bool
	Seen  int64 // images, as of the last line of the log
	Total int64 // images; 0 while it is not known how many pairs the inversion will make
}

// Survey reads the configuration of the run in dir and how far its stages are,
// in their order. It changes nothing and takes no lock, so the run may be
// training meanwhile. A folder without a run is checkpoint.ErrNoRun.
func Survey(dir string) (*config.Config, []Status, error) {
	path := filepath.Join(dir, "config.toml")
	if _, err := os.Stat(path); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", dir, checkpoint.ErrNoRun)
	}
	c, err := config.Load(path)
	if err != nil {
		return nil, nil, err
	}
	list := []Status{
		{Stage: "features", File: FeaturesFile, Total: c.Features.Images},
		{Stage: "teacher", File: TeacherFile, Total: c.Teacher.Images},
		{Stage: "invert", File: PairsDir, Total: pairCount(filepath.Join(dir, PairsDir))},
	}
	if c.Features.Pretrained() {
		list = list[1:]
	}
	list = append(list, generatorStatus(c.Network.Resolution, c.Distill.Images))
	for _, g := range c.Grow {
		list = append(list, generatorStatus(g.Resolution, g.Images))
	}
	log, err := (&checkpoint.Run{Dir: dir}).ReadLog()
	if err != nil {
		return nil, nil, err
	}
	for i := range list {
		s := &list[i]
		for _, line := range log {
			if line.Stage == s.Stage {
				s.Seen = line.ImagesSeen
			}
		}
		_, err := os.Stat(filepath.Join(dir, s.File))
		s.Done = err == nil && (s.File != PairsDir || s.Seen >= s.Total && s.Total > 0)
	}
	return c, list, nil
}

func generatorStatus(resolution int, images int64) Status {
	return Status{Stage: generatorStage(resolution), File: GeneratorFile(resolution), Total: images}
}

// pairCount is the number of pairs that a store will have; 0 when it is not begun.
func pairCount(dir string) int64 {
	var m pairs.Meta
	text, err := os.ReadFile(filepath.Join(dir, "pairs.json"))
	if err != nil || json.Unmarshal(text, &m) != nil {
		return 0
	}
	return int64(m.Count)
}
