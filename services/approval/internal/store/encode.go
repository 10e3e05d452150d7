package store

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protowire"

	"gatehouse.dev/services/approval/internal/lifecycle"
)

// The column data holds an approval in the encoding of protocol buffers, with
// ids as 16 bytes and times in microseconds. It takes less than half of the
// time of JSON and a third of its bytes. Fields that are not set are left out, unknown ones
// are skipped; a number is never used again for something else. What columns
// hold (ids, state, the request) is not in it.
const (
	fieldVersion     protowire.Number = 1
	fieldRequester   protowire.Number = 2
	fieldBeneficiary protowire.Number = 3
	fieldFlowID      protowire.Number = 4
	fieldFlowVersion protowire.Number = 5
	fieldAutomatic   protowire.Number = 6
	fieldCreateTime  protowire.Number = 7
	fieldEndTime     protowire.Number = 8
	fieldStep        protowire.Number = 9
	fieldTask        protowire.Number = 10
	fieldAccountable protowire.Number = 11
	fieldHeld        protowire.Number = 12
	fieldExpired     protowire.Number = 13
	fieldNextTime    protowire.Number = 14
	fieldAskedTime   protowire.Number = 15

	personID    protowire.Number = 1
	personName  protowire.Number = 2
	personEmail protowire.Number = 3

	stepItemID        protowire.Number = 1
	stepAppID         protowire.Number = 2
	stepPosition      protowire.Number = 3
	stepFlowID        protowire.Number = 4
	stepFlowVersion   protowire.Number = 5
	stepName          protowire.Number = 6
	stepReviewers     protowire.Number = 7
	stepUserID        protowire.Number = 8
	stepGroupID       protowire.Number = 9
	stepNeed          protowire.Number = 10
	stepNeedCount     protowire.Number = 11
	stepState         protowire.Number = 12
	stepNeeded        protowire.Number = 13
	stepVacant        protowire.Number = 14
	stepOpenTime      protowire.Number = 15
	stepEndTime       protowire.Number = 16
	stepRemindAfter   protowire.Number = 30
	stepEscalateAfter protowire.Number = 31
	stepEscalateTime  protowire.Number = 32
	stepEscalated     protowire.Number = 33
	stepDecideWithin  protowire.Number = 34
	stepDecideBy      protowire.Number = 35
	stepDistinct      protowire.Number = 17

	taskID           protowire.Number = 1
	taskItemID       protowire.Number = 2
	taskPosition     protowire.Number = 3
	taskReviewer     protowire.Number = 4
	taskState        protowire.Number = 5
	taskSubstitution protowire.Number = 6
	taskComment      protowire.Number = 7
	taskCreateTime   protowire.Number = 8
	taskEndTime      protowire.Number = 9
	taskEndedBy      protowire.Number = 10
	taskGiven        protowire.Number = 11
	taskRemindTime   protowire.Number = 20
	taskRemindedTime protowire.Number = 21
	taskEscalated    protowire.Number = 22
	taskOnBehalfOf   protowire.Number = 23
	taskDespite      protowire.Number = 24
)

// encode gives the column data of a record.
func encode(r *Record) ([]byte, error) {
	e := encoder{b: make([]byte, 0, 1024)}
	e.number(fieldVersion, r.Version)
	e.person(fieldRequester, r.Requester)
	e.person(fieldBeneficiary, r.Beneficiary)
	for _, id := range r.AccountableIDs {
		e.id(fieldAccountable, id)
	}
	e.id(fieldFlowID, r.FlowID)
	e.number(fieldFlowVersion, int64(r.FlowVersion))
	e.boolean(fieldAutomatic, r.Automatic)
	e.time(fieldCreateTime, r.CreateTime)
	e.time(fieldEndTime, r.EndTime)
	e.boolean(fieldHeld, r.Held)
	e.boolean(fieldExpired, r.Expired)
	e.time(fieldNextTime, r.NextTimeSaved)
	e.time(fieldAskedTime, r.AskedTime)
	for _, s := range r.Steps {
		e.message(fieldStep, func(e *encoder) {
			e.id(stepItemID, s.ItemID)
			e.id(stepAppID, s.AppID)
			e.number(stepPosition, int64(s.Position))
			e.id(stepFlowID, s.FlowID)
			e.number(stepFlowVersion, int64(s.FlowVersion))
			e.text(stepName, s.Spec.Name)
			e.text(stepReviewers, string(s.Spec.Reviewers))
			for _, id := range s.Spec.UserIDs {
				e.id(stepUserID, id)
			}
			for _, id := range s.Spec.GroupIDs {
				e.id(stepGroupID, id)
			}
			e.text(stepNeed, string(s.Spec.Need))
			e.number(stepNeedCount, int64(s.Spec.NeedCount))
			e.text(stepState, string(s.State))
			e.number(stepNeeded, int64(s.Needed))
			e.boolean(stepVacant, s.Vacant)
			e.time(stepOpenTime, s.OpenTime)
			e.time(stepEndTime, s.EndTime)
			e.number(stepRemindAfter, int64(s.Spec.RemindAfter))
			e.number(stepEscalateAfter, int64(s.Spec.EscalateAfter))
			e.time(stepEscalateTime, s.EscalateTime)
			e.boolean(stepEscalated, s.Escalated)
			e.number(stepDecideWithin, int64(s.DecideWithin))
			e.time(stepDecideBy, s.DecideBy)
			e.boolean(stepDistinct, s.Spec.Distinct)
		})
	}
	for _, t := range r.Tasks {
		e.message(fieldTask, func(e *encoder) {
			e.id(taskID, t.ID)
			e.id(taskItemID, t.ItemID)
			e.number(taskPosition, int64(t.Position))
			e.person(taskReviewer, t.Reviewer)
			e.text(taskState, string(t.State))
			e.text(taskSubstitution, t.Substitution)
			e.text(taskComment, t.Comment)
			e.time(taskCreateTime, t.CreateTime)
			e.time(taskEndTime, t.EndTime)
			e.person(taskEndedBy, t.EndedBy)
			e.boolean(taskGiven, t.Given)
			e.time(taskRemindTime, t.RemindTime)
			e.time(taskRemindedTime, t.RemindedTime)
			e.boolean(taskEscalated, t.Escalated)
			e.person(taskOnBehalfOf, t.OnBehalfOf)
			e.boolean(taskDespite, t.Despite)
		})
	}
	if e.err != nil {
		return nil, fmt.Errorf("encode approval of request %s: %w", r.RequestID, e.err)
	}
	return e.b, nil
}

// decode sets what the column data says of a record.
func decode(data []byte, r *Record) error {
	err := fields(data, func(n protowire.Number, v value) (err error) {
		switch n {
		case fieldVersion:
			r.Version = v.number()
		case fieldRequester:
			r.Requester, err = v.person()
		case fieldBeneficiary:
			r.Beneficiary, err = v.person()
		case fieldFlowID:
			r.FlowID, err = v.id()
		case fieldFlowVersion:
			r.FlowVersion = int32(v.number()) //nolint:gosec // written from one
		case fieldAutomatic:
			r.Automatic = v.boolean()
		case fieldCreateTime:
			r.CreateTime = v.time()
		case fieldEndTime:
			r.EndTime = v.time()
		case fieldHeld:
			r.Held = v.boolean()
		case fieldExpired:
			r.Expired = v.boolean()
		case fieldNextTime:
			r.NextTimeSaved = v.time()
		case fieldAskedTime:
			r.AskedTime = v.time()
		case fieldStep:
			var s *lifecycle.Step
			s, err = decodeStep(v.bytes)
			r.Steps = append(r.Steps, s)
		case fieldTask:
			var t *lifecycle.Task
			t, err = decodeTask(v.bytes)
			r.Tasks = append(r.Tasks, t)
		case fieldAccountable:
			var id string
			id, err = v.id()
			r.AccountableIDs = append(r.AccountableIDs, id)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("decode approval of request %s: %w", r.RequestID, err)
	}
	return nil
}

func decodeStep(data []byte) (*lifecycle.Step, error) {
	s := &lifecycle.Step{}
	return s, fields(data, func(n protowire.Number, v value) (err error) {
		var id string
		switch n {
		case stepItemID:
			s.ItemID, err = v.id()
		case stepAppID:
			s.AppID, err = v.id()
		case stepPosition:
			s.Position = int(v.number())
		case stepFlowID:
			s.FlowID, err = v.id()
		case stepFlowVersion:
			s.FlowVersion = int32(v.number()) //nolint:gosec // written from one
		case stepName:
			s.Spec.Name = v.text()
		case stepReviewers:
			s.Spec.Reviewers = lifecycle.Reviewers(v.text())
		case stepUserID:
			id, err = v.id()
			s.Spec.UserIDs = append(s.Spec.UserIDs, id)
		case stepGroupID:
			id, err = v.id()
			s.Spec.GroupIDs = append(s.Spec.GroupIDs, id)
		case stepNeed:
			s.Spec.Need = lifecycle.Need(v.text())
		case stepNeedCount:
			s.Spec.NeedCount = int(v.number())
		case stepState:
			s.State = lifecycle.StepState(v.text())
		case stepNeeded:
			s.Needed = int(v.number())
		case stepVacant:
			s.Vacant = v.boolean()
		case stepOpenTime:
			s.OpenTime = v.time()
		case stepEndTime:
			s.EndTime = v.time()
		case stepRemindAfter:
			s.Spec.RemindAfter = time.Duration(v.number())
		case stepEscalateAfter:
			s.Spec.EscalateAfter = time.Duration(v.number())
		case stepEscalateTime:
			s.EscalateTime = v.time()
		case stepEscalated:
			s.Escalated = v.boolean()
		case stepDecideWithin:
			s.DecideWithin = time.Duration(v.number())
		case stepDecideBy:
			s.DecideBy = v.time()
		case stepDistinct:
			s.Spec.Distinct = v.boolean()
		}
		return err
	})
}

func decodeTask(data []byte) (*lifecycle.Task, error) {
	t := &lifecycle.Task{}
	return t, fields(data, func(n protowire.Number, v value) (err error) {
		switch n {
		case taskID:
			t.ID, err = v.id()
		case taskItemID:
			t.ItemID, err = v.id()
		case taskPosition:
			t.Position = int(v.number())
		case taskReviewer:
			t.Reviewer, err = v.person()
		case taskState:
			t.State = lifecycle.TaskState(v.text())
		case taskSubstitution:
			t.Substitution = v.text()
		case taskComment:
			t.Comment = v.text()
		case taskCreateTime:
			t.CreateTime = v.time()
		case taskEndTime:
			t.EndTime = v.time()
		case taskEndedBy:
			t.EndedBy, err = v.person()
		case taskGiven:
			t.Given = v.boolean()
		case taskRemindTime:
			t.RemindTime = v.time()
		case taskRemindedTime:
			t.RemindedTime = v.time()
		case taskEscalated:
			t.Escalated = v.boolean()
		case taskOnBehalfOf:
			t.OnBehalfOf, err = v.person()
		case taskDespite:
			t.Despite = v.boolean()
		}
		return err
	})
}

// encoder appends fields. It leaves out those that are not set.
type encoder struct {
	b   []byte
	err error
}

func (e *encoder) number(n protowire.Number, v int64) {
	if v != 0 {
		e.b = protowire.AppendTag(e.b, n, protowire.VarintType)
		e.b = protowire.AppendVarint(e.b, uint64(v)) //nolint:gosec // read back as it was
	}
}

func (e *encoder) boolean(n protowire.Number, v bool) {
	if v {
		e.number(n, 1)
	}
}

func (e *encoder) time(n protowire.Number, v time.Time) {
	if !v.IsZero() {
		e.number(n, v.UnixMicro())
	}
}

func (e *encoder) text(n protowire.Number, v string) {
	if v != "" {
		e.b = protowire.AppendTag(e.b, n, protowire.BytesType)
		e.b = protowire.AppendString(e.b, v)
	}
}

func (e *encoder) id(n protowire.Number, v string) {
	if v == "" {
		return
	}
	id, err := uuid.Parse(v)
	if err != nil {
		e.err = errors.Join(e.err, err)
		return
	}
	e.b = protowire.AppendTag(e.b, n, protowire.BytesType)
	e.b = protowire.AppendBytes(e.b, id[:])
}

func (e *encoder) person(n protowire.Number, p lifecycle.Person) {
	if p != (lifecycle.Person{}) {
		e.message(n, func(e *encoder) {
			e.id(personID, p.ID)
			e.text(personName, p.Name)
			e.text(personEmail, p.Email)
		})
	}
}

func (e *encoder) message(n protowire.Number, write func(*encoder)) {
	e.b = protowire.AppendTag(e.b, n, protowire.BytesType)
	start := len(e.b)
	write(e)
	length := protowire.AppendVarint(nil, uint64(len(e.b)-start))
	e.b = slices.Insert(e.b, start, length...)
}

// value is that of a field: a number or bytes.
type value struct {
	integer uint64
	bytes   []byte
}

func (v value) number() int64   { return int64(v.integer) } //nolint:gosec // read back as it was
func (v value) boolean() bool   { return v.integer != 0 }
func (v value) time() time.Time { return time.UnixMicro(v.number()).UTC() }
func (v value) text() string    { return string(v.bytes) }

func (v value) id() (string, error) {
	id, err := uuid.FromBytes(v.bytes)
	if err != nil {
		return "", err
	}
	return id.String(), nil
}

func (v value) person() (p lifecycle.Person, err error) {
	err = fields(v.bytes, func(n protowire.Number, v value) (err error) {
		switch n {
		case personID:
			p.ID, err = v.id()
		case personName:
			p.Name = v.text()
		case personEmail:
			p.Email = v.text()
		}
		return err
	})
	return p, err
}

// fields calls yield with each field of a message.
func fields(data []byte, yield func(protowire.Number, value) error) error {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		var v value
		switch kind {
		case protowire.VarintType:
			v.integer, n = protowire.ConsumeVarint(data)
		case protowire.BytesType:
			v.bytes, n = protowire.ConsumeBytes(data)
		default:
			n = protowire.ConsumeFieldValue(number, kind, data)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		if err := yield(number, v); err != nil {
			return fmt.Errorf("field %d: %w", number, err)
		}
	}
	return nil
}
