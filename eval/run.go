package eval

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"

	"github.com/pagoda-go/pagoda/data"
	"github.com/pagoda-go/pagoda/network"
	"github.com/pagoda-go/pagoda/stage"
	"github.com/pagoda-go/pagoda/torch"
)

// ScoresFile is what ScoreRun leaves in a run's folder: Scores as JSON.
const ScoresFile = "scores.json"

// Scores say how good the networks of a run are, by rising resolution.
type Scores struct {
	Models []ModelScore `json:"models"`
}

// ModelScore is what one network's images are worth, beside real ones: as many where there are.
type ModelScore struct {
	Model       string  `json:"model"`       // "teacher", or "generator"
	Resolution  int     `json:"resolution"`  // pixels
	Evaluations int     `json:"evaluations"` // of the network for an image
	Generated   *Result `json:"generated"`
	Floor       *Result `json:"floor"` // of training images
}

// scoredPerClass is the number of images of each class that are judged.
const scoredPerClass = 200

// ScoreRun compares the images of a finished run's many-step teacher and of
// every generator with the test split, by the run's evaluator, and writes
// ScoresFile, unless it is there and of the same weights. The splits come down to the network's
// resolution by averaging areas.
func ScoreRun(ctx context.Context, e *stage.Env) (err error) {
	defer torch.Recover(&err)
	runtime.LockOSThread() // see torch.Thread
	defer runtime.UnlockOSThread()
	j := &jury{env: e, scope: torch.NewScope(e.Device)}
	defer j.close()
	if err := j.open(); err != nil {
		return err
	}
	if scores, err := ReadScores(e); err == nil && j.made(scores) {
		return nil
	}
	j.progress(0)
	var scores Scores
	for _, s := range j.samplers {
		score, err := j.score(ctx, s)
		if err != nil {
			return err
		}
		scores.Models = append(scores.Models, score)
	}
	text, err := json.MarshalIndent(scores, "", "  ")
	if err != nil {
		return err
	}
	return writeBytes(e.Path(ScoresFile), append(text, '\n'))
}

// ReadScores returns what ScoreRun left in a run's folder.
func ReadScores(e *stage.Env) (*Scores, error) {
	text, err := os.ReadFile(e.Path(ScoresFile))
	if err != nil {
		return nil, fmt.Errorf("the run has no scores: %w", err)
	}
	scores := &Scores{}
	if err := json.Unmarshal(text, scores); err != nil {
		return nil, fmt.Errorf("%s is not usable, remove it and score again: %w", e.Path(ScoresFile), err)
	}
	return scores, nil
}

// jury scores networks; what it finds out about real images of one resolution serves all of them.
type jury struct {
	env         *stage.Env
	scope       *torch.Scope
	network     Network
	samplers    []*stage.Sampler
	test, train *data.Dataset // at full resolution
	done, total int64

	resolution int // of the fields below
	real       *reference
	floor      *Result
}

func (j *jury) open() (err error) {
	trained, err := j.env.OpenEvaluator(j.scope)
	if err != nil {
		return err
	}
	j.network = newClassifier(j.scope, trained)
	if j.test, err = j.env.Test(); err != nil {
		return fmt.Errorf("scores need a test split: %w", err)
	}
	if j.samplers, err = j.env.Samplers(j.scope); err != nil {
		return err
	}
	j.train = j.env.TrainingImages(scoredPerClass)
	resolution := 0
	for _, s := range j.samplers {
		j.total += int64(scoredPerClass * len(j.env.Data.ClassNames))
		if at := s.Architecture.OutputSize(); at != resolution {
			resolution = at
			j.total += int64(j.test.Len() + j.train.Len())
		}
	}
	return nil
}

func (j *jury) close() {
	j.scope.Close()
	if j.test != nil {
		_ = j.test.Close() // which was only read
	}
}

// made tells whether scores are those of the networks as they are now.
func (j *jury) made(s *Scores) bool {
	if len(s.Models) != len(j.samplers) {
		return false
	}
	for i, m := range s.Models {
		p := m.Generated.Protocol
		if p.Samples.Model == nil || p.Samples.Model.SHA256 != j.samplers[i].SHA256 || p.Network == nil || p.Network.SHA256 != j.network.Info().SHA256 {
			return false
		}
	}
	return true
}

func (j *jury) progress(n int) {
	j.done += int64(n)
	if j.env.Progress != nil {
		j.env.Progress("scores", j.done, j.total, "")
	}
}

func (j *jury) score(ctx context.Context, s *stage.Sampler) (out ModelScore, err error) {
	out = ModelScore{Model: s.Stage, Resolution: s.Architecture.OutputSize(), Evaluations: s.Evaluations}
	samples := newSamplerSource(s, j.env.Data.ClassNames)
	if err := j.lookAtReal(ctx, samples.info); err != nil {
		return out, err
	}
	out.Floor = j.floor
	if out.Generated, err = j.judge(ctx, samples); err != nil || s.Stage == network.Teacher {
		return out, err
	}
	return out, j.env.Run.Log(logStage, s.ImagesSeen, out.Generated.values())
}

// lookAtReal measures the training images against the test split in the samples' resolution.
func (j *jury) lookAtReal(ctx context.Context, samples SourceInfo) (err error) {
	if j.resolution == samples.H {
		return nil
	}
	j.resolution = samples.H
	test, err := sameSize(newDatasetSource(j.test.Name, j.test), samples)
	if err != nil {
		return err
	}
	if j.real, err = j.pass().seeReference(ctx, test); err != nil {
		return err
	}
	train, err := sameSize(newDatasetSource(fmt.Sprintf("%s, %d of each class", j.train.Name, scoredPerClass), j.train), samples)
	if err != nil {
		return err
	}
	j.floor, err = j.judge(ctx, train)
	return err
}

// judge compares all images of a source with the real ones.
func (j *jury) judge(ctx context.Context, source Source) (*Result, error) {
	info := source.Info()
	c, err := j.pass().collect(ctx, source, info.N)
	if err != nil {
		return nil, err
	}
	e := &evaluation{Options: Options{Setup: Setup{Network: j.network}, Generation: Generation{Seed: j.samplers[0].Seed}}, info: info, n: info.N}
	f, err := e.judge(ctx, j.real, c)
	if err != nil {
		return nil, err
	}
	return e.conclude(ctx, j.real, c, []figures{f})
}

func (j *jury) pass() *pass {
	return &pass{net: j.network, begin: func(int) {}, seen: j.progress, step: Setup{}.step}
}
