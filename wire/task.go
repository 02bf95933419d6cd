package wire

// TaskStatus is where a task is in its life.
type TaskStatus string

// The states of a task. ListTasks also takes completed for done.
const (
	TaskOpen    TaskStatus = "open"
	TaskClaimed TaskStatus = "claimed"
	TaskDone    TaskStatus = "done"
)

// CreateTask puts a task on the board of the mesh.
type CreateTask struct {
	Title string `json:"title"` // 1 to MaxTaskTitle characters
	// Assignee is a peer's name or key, @group or *. Whom it names gets a
	// message about the task. A name that fits nobody, or several, is refused,
	// but for an older client, whose task keeps it and reaches nobody.
	Assignee string `json:"assignee,omitempty"`
	// Priority is low, normal, high or urgent; any other word is kept too. It is
	// normal if absent. The message to the assignee has priority now for urgent,
	// low for low, and else next.
	Priority string   `json:"priority,omitempty"`
	Tags     []string `json:"tags,omitempty"` // at most MaxTaskTags
}

// TaskCreated answers CreateTask.
type TaskCreated struct {
	ID string `json:"id"`
	// Assignee is what Task.Assignee says.
	Assignee string `json:"assignee,omitempty"`
	// Message is what became of the message to the assignee; absent where the
	// task has none or is one's own.
	Message *TaskMessage `json:"message,omitempty"`
}

// TaskMessage says where the message to an assignee is, as an Ack does.
type TaskMessage struct {
	MessageID  string         `json:"messageId"`
	Outcome    Outcome        `json:"outcome"` // sent, held, queued or nobody
	Recipients *OutcomeCounts `json:"recipients"`
	Unknown    bool           `json:"unknown,omitempty"` // the mesh has never seen the key
}

// ClaimTask takes an open task. Of those who claim it at the same time one gets
// it. The claim of a session ends with its presence, that of a member without
// one after a day; the task is open again then. Refused with TaskNotClaimable.
type ClaimTask struct {
	TaskID string `json:"taskId"`
	// Reserve asks for reservations together with the claim: both or neither.
	// They end when the task is completed, released or open again, or by their
	// own time.
	Reserve *Reserve `json:"reserve,omitempty"`
	// Brief asks for the task alone instead of the whole list.
	Brief bool `json:"brief,omitempty"`
}

// CompleteTask finishes a task, whoever claimed it. One that is done stays as it
// is; with Brief, another result for it is a Conflict. Refused with TaskNotFound.
type CompleteTask struct {
	TaskID string `json:"taskId"`
	Result string `json:"result,omitempty"` // at most MaxTaskResult bytes
	Brief  bool   `json:"brief,omitempty"`  // see ClaimTask
}

// ReleaseTask gives up a claim: the task is open again. It is for the member who
// claimed the task, the one who created it, and admins. An open task stays as it
// is; one that is done is a Conflict.
type ReleaseTask struct {
	TaskID string `json:"taskId"`
	Brief  bool   `json:"brief,omitempty"` // see ClaimTask
}

// ListTasks asks for tasks; all that is given must fit.
type ListTasks struct {
	Status TaskStatus `json:"status,omitempty"`
	// Assignee is a Task.Assignee, to the letter, or a Task.AssigneePubkey.
	Assignee string `json:"assignee,omitempty"`
	// TaskID asks for one task, with the whole of its result.
	TaskID string `json:"taskId,omitempty"`
	// Named asks for the tasks that a text of a user may mean, of all there are: by
	// their id, by the first 4 characters of it or more, or by their title, whatever
	// its case. An older broker lists the newest.
	Named string `json:"named,omitempty"`
}

// TaskList answers the requests about tasks: the newest first, at most
// MaxTaskList.
type TaskList struct {
	Tasks []Task `json:"tasks"`
	// Reservations are those that were made with a claim.
	Reservations []Reservation `json:"reservations,omitempty"`
}

// Task is a task as the board shows it.
type Task struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	// Assignee is the name of a peer, or its key where the mesh knows none, or
	// the group, or *.
	Assignee  *string    `json:"assignee"`
	ClaimedBy *string    `json:"claimedBy"` // name of the session
	Status    TaskStatus `json:"status"`
	Priority  string     `json:"priority"`
	CreatedBy *string    `json:"createdBy"` // name of the session
	Tags      []string   `json:"tags"`
	CreatedAt Time       `json:"createdAt"`

	AssigneePubkey string `json:"assigneePubkey,omitempty"`  // of one peer
	ClaimedPubkey  string `json:"claimedByPubkey,omitempty"` // address of the session
	ClaimedAt      *Time  `json:"claimedAt,omitempty"`       // when it was claimed
	// ClaimExpiresAt is when a claim ends by itself that is not tied to a presence.
	ClaimExpiresAt *Time  `json:"claimExpiresAt,omitempty"`
	Result         string `json:"result,omitempty"` // what came of it
	// ResultCut is set where the list has the first MaxListedResult characters only.
	ResultCut   bool   `json:"resultCut,omitempty"`
	CompletedBy string `json:"completedBy,omitempty"` // name of the session
	CompletedAt *Time  `json:"completedAt,omitempty"` // when it was done
}

func (CreateTask) FrameType() Type   { return "create_task" }
func (TaskCreated) FrameType() Type  { return "task_created" }
func (ClaimTask) FrameType() Type    { return "claim_task" }
func (CompleteTask) FrameType() Type { return "complete_task" }
func (ReleaseTask) FrameType() Type  { return "release_task" }
func (ListTasks) FrameType() Type    { return "list_tasks" }
func (TaskList) FrameType() Type     { return "task_list" }

func (CreateTask) answer() (r TaskCreated) { return }
func (ClaimTask) answer() (r TaskList)     { return }
func (CompleteTask) answer() (r TaskList)  { return }
func (ReleaseTask) answer() (r TaskList)   { return }
func (ListTasks) answer() (r TaskList)     { return }
