package runner

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"claudemesh/wire"
)

func TestACallThatIsNotAnsweredFails(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		s.whenStarted(func(a *actor) error {
			a.calls = func(ctx context.Context, tool string) (wire.Value, error) {
				if tool == "refuse" {
					return nil, errors.New("no such tool (-32602)")
				}
				return nil, forever(ctx)
			}
			return nil
		})
		s.runs("db", Spec{})

		if _, err := s.Call(t.Context(), "other", "x", nil); !errors.Is(err, ErrUnknown) {
			t.Errorf("of another service: %v", err)
		}
		if _, err := s.Call(t.Context(), "db", "refuse", nil); err == nil || err.Error() != `service "db": no such tool (-32602)` {
			t.Errorf("refused: %v", err)
		}
		before := time.Now()
		if _, err := s.Call(t.Context(), "db", "hang", nil); err == nil || err.Error() != `service "db" has not answered within 25s` {
			t.Errorf("late: %v", err)
		}
		if took := time.Since(before); took != wire.ServiceCall {
			t.Errorf("late after %s", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Call(ctx, "db", "hang", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("given up: %v", err)
		}
		time.AfterFunc(time.Second, func() { s.last().die(errors.New("it ended: out of memory")) })
		if _, err := s.Call(t.Context(), "db", "hang", nil); err == nil || err.Error() != `service "db": during the call it ended: out of memory` {
			t.Errorf("ended: %v", err)
		}
	})
}

func TestCallsOfOneServiceAreBounded(t *testing.T) {
	onStage(t, func(t *testing.T, s *stage) {
		turn, running := make(chan struct{}), make(chan struct{}, 1000)
		s.whenStarted(func(a *actor) error {
			a.calls = func(context.Context, string) (wire.Value, error) {
				running <- struct{}{}
				<-turn
				return nil, nil
			}
			return nil
		})
		s.deploys("db", Spec{})
		s.deploys("other", Spec{})
		for range 6 {
			s.next()
		}
		results := make(chan error, 1000)
		for range maxCalls + maxQueue + 10 {
			go func() {
				_, err := s.Call(t.Context(), "db", "a", nil)
				results <- err
			}()
		}
		synctest.Wait()
		if len(running) != maxCalls || len(results) != 10 {
			t.Errorf("%d calls are under way, %d were refused", len(running), len(results))
		}
		for range 10 {
			if err := <-results; !errors.Is(err, ErrBusy) {
				t.Errorf("%v", err)
			}
		}
		go func() {
			_, err := s.Call(t.Context(), "other", "a", nil)
			results <- err
		}()
		synctest.Wait()
		if len(running) != maxCalls+1 {
			t.Error("one service waits for another")
		}
		close(turn)
		for range maxCalls + maxQueue + 1 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
	})
}
