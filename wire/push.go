package wire

import (
	"strconv"
	"time"
)

// AppendPush appends p as a frame, as Append does, but by appending bytes:
// one message is encoded for every delivery, and reflection would cost more
// than all else on its way. EventData must be valid JSON; it is not checked.
func AppendPush(dst []byte, p *Push) []byte {
	dst = append(dst, `{"type":"push","messageId":`...)
	dst = appendString(dst, p.MessageID)
	dst = appendField(dst, "meshId", p.MeshID)
	dst = appendField(dst, "senderPubkey", p.SenderPubkey)
	dst = appendField(dst, "priority", string(p.Priority))
	dst = appendField(dst, "nonce", p.Nonce)
	dst = appendField(dst, "ciphertext", p.Ciphertext)
	dst = append(dst, `,"createdAt":"`...)
	dst = AppendTime(dst, time.Time(p.CreatedAt))
	dst = append(dst, '"')
	dst = appendOptional(dst, "subtype", p.Subtype)
	dst = appendOptional(dst, "event", p.Event)
	if len(p.EventData) > 0 {
		dst = append(dst, `,"eventData":`...)
		dst = append(dst, p.EventData...)
	}
	dst = appendOptional(dst, "targetSpec", p.TargetSpec)
	dst = appendOptional(dst, "senderName", p.SenderName)
	dst = appendOptional(dst, "senderMemberPubkey", p.SenderMember)
	dst = appendOptional(dst, "replyTo", p.ReplyTo)
	dst = appendOptional(dst, "text", p.Text)
	dst = appendOptional(dst, "scheduleId", p.ScheduleID)
	if p.ScheduledFor != nil {
		dst = append(dst, `,"scheduledFor":"`...)
		dst = AppendTime(dst, time.Time(*p.ScheduledFor))
		dst = append(dst, '"')
	}
	if p.Seq != 0 {
		dst = append(dst, `,"seq":`...)
		dst = strconv.AppendInt(dst, p.Seq, 10)
	}
	return append(dst, '}')
}

// AppendAck appends a as a frame that answers reqID, as Append does.
func AppendAck(dst []byte, reqID string, a *Ack) []byte {
	dst = append(dst, `{"type":"ack"`...)
	dst = appendOptional(dst, "_reqId", reqID)
	dst = appendField(dst, "id", a.ID)
	dst = appendField(dst, "messageId", a.MessageID)
	dst = append(dst, `,"queued":`...)
	dst = strconv.AppendBool(dst, a.Queued)
	dst = appendOptional(dst, "outcome", string(a.Outcome))
	if c := a.Recipients; c != nil {
		dst = appendCounts(append(dst, `,"recipients":`...), c)
	}
	if a.Unknown {
		dst = append(dst, `,"unknown":true`...)
	}
	if a.Duplicate {
		dst = append(dst, `,"duplicate":true`...)
	}
	if a.Seq != 0 {
		dst = append(dst, `,"seq":`...)
		dst = strconv.AppendInt(dst, a.Seq, 10)
	}
	return append(dst, '}')
}

func appendCounts(dst []byte, c *OutcomeCounts) []byte {
	dst = strconv.AppendInt(append(dst, `{"sent":`...), int64(c.Sent), 10)
	dst = strconv.AppendInt(append(dst, `,"held":`...), int64(c.Held), 10)
	dst = strconv.AppendInt(append(dst, `,"queued":`...), int64(c.Queued), 10)
	if c.Full != 0 {
		dst = strconv.AppendInt(append(dst, `,"full":`...), int64(c.Full), 10)
	}
	return append(dst, '}')
}

func appendField(dst []byte, name, value string) []byte {
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':')
	return appendString(dst, value)
}

func appendOptional(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendField(dst, name, value)
}
