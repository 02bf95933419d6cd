package wire

// Direction is who sends a frame.
type Direction string

// The directions.
const (
	ToBroker Direction = "peer → broker"
	ToPeer   Direction = "broker → peer"
)

// Entry describes one frame of the wire.
type Entry struct {
	Type      Type
	Direction Direction
	Answer    Type  // of a request; empty for a frame without answer
	Frame     Frame // its zero value
}

// Index lists every frame there is, by feature.
func Index() []Entry {
	return []Entry{
		request(Hello{}),
		toPeer(HelloAck{}),
		toPeer(Drained{}),
		request(LeaveMesh{}),
		toPeer(&Error{}),

		request(Send{}),
		toPeer(Ack{}),
		toPeer(Push{}),
		request(ClientAck{}),
		toPeer(Receipt{}),
		request(GetMessageStatus{}),
		toPeer(MessageStatus{}),

		request(SetStatus{}),
		request(SetSummary{}),
		request(SetVisible{}),
		request(SetProfile{}),
		request(SetStats{}),
		request(JoinGroup{}),
		request(LeaveGroup{}),

		request(Schedule{}),
		toPeer(ScheduledAck{}),
		request(ListScheduled{}),
		toPeer(ScheduledList{}),
		request(CancelScheduled{}),
		toPeer(CancelScheduledAck{}),

		request(SetClock{}),
		request(PauseClock{}),
		request(ResumeClock{}),
		request(GetClock{}),
		toPeer(ClockStatus{}),

		request(CreateWebhook{}),
		toPeer(WebhookAck{}),
		request(ListWebhooks{}),
		toPeer(WebhookList{}),
		request(DeleteWebhook{}),
		request(RotateWebhook{}),

		request(Watch{}),
		toPeer(WatchAck{}),
		request(Unwatch{}),
		request(ListWatches{}),
		toPeer(WatchList{}),

		request(ListPeers{}),
		toPeer(PeersList{}),
		request(MeshInfo{}),
		toPeer(MeshInfoResult{}),

		request(PeerFileRequest{}),
		toPeer(PeerFileRequestForward{}),
		request(PeerFileResponse{}),
		toPeer(PeerFileResponseForward{}),
		request(PeerDirRequest{}),
		toPeer(PeerDirRequestForward{}),
		request(PeerDirResponse{}),
		toPeer(PeerDirResponseForward{}),

		request(SetState{}),
		request(DeleteState{}),
		toPeer(StateChange{}),
		request(GetState{}),
		toPeer(StateResult{}),
		request(ListState{}),
		toPeer(StateList{}),

		request(Remember{}),
		toPeer(MemoryStored{}),
		request(Recall{}),
		toPeer(MemoryResults{}),
		request(Forget{}),

		request(ShareContext{}),
		toPeer(ContextShared{}),
		request(GetContext{}),
		toPeer(ContextResults{}),
		request(ListContexts{}),
		toPeer(ContextList{}),

		request(CreateStream{}),
		toPeer(StreamCreated{}),
		request(Subscribe{}),
		toPeer(Subscribed{}),
		request(Unsubscribe{}),
		request(Publish{}),
		toPeer(StreamData{}),
		request(ListStreams{}),
		toPeer(StreamList{}),
		request(DeleteStream{}),

		request(ShareSkill{}),
		toPeer(SkillAck{}),
		request(GetSkill{}),
		toPeer(SkillData{}),
		request(ListSkills{}),
		toPeer(SkillList{}),
		request(RemoveSkill{}),
		request(SkillDeploy{}),
		toPeer(SkillDeployAck{}),

		request(MCPRegister{}),
		toPeer(MCPRegisterAck{}),
		request(MCPUnregister{}),
		request(MCPList{}),
		toPeer(MCPListResult{}),
		request(MCPCall{}),
		toPeer(MCPCallResult{}),
		toPeer(MCPCallForward{}),
		request(MCPCallResponse{}),

		request(VaultSet{}),
		toPeer(VaultAck{}),
		request(VaultList{}),
		toPeer(VaultListResult{}),
		request(VaultGet{}),
		toPeer(VaultGetResult{}),
		request(VaultDelete{}),
		request(VaultRotate{}),
		toPeer(VaultRotated{}),

		request(MCPDeploy{}),
		toPeer(MCPDeployStatus{}),
		request(MCPUndeploy{}),
		request(MCPUpdate{}),
		request(MCPLogs{}),
		toPeer(MCPLogsResult{}),
		request(MCPScope{}),
		toPeer(MCPScopeResult{}),
		request(MCPSchema{}),
		toPeer(MCPSchemaResult{}),
		request(MCPCatalog{}),
		toPeer(MCPCatalogResult{}),

		request(UploadToken{}),
		toPeer(UploadTokenResult{}),
		request(GetFile{}),
		toPeer(FileURL{}),
		request(ListFiles{}),
		toPeer(FileList{}),
		request(GetFileStatus{}),
		toPeer(FileStatus{}),
		request(DeleteFile{}),
		request(GrantFileAccess{}),
		toPeer(FileAccessGranted{}),

		request(CreateTask{}),
		toPeer(TaskCreated{}),
		request(ClaimTask{}),
		request(CompleteTask{}),
		request(ReleaseTask{}),
		request(ListTasks{}),
		toPeer(TaskList{}),
		request(Reserve{}),
		request(Release{}),
		request(ListReservations{}),
		toPeer(ReservationList{}),

		request(AuditQuery{}),
		toPeer(AuditResult{}),
		request(AuditVerify{}),
		toPeer(AuditVerifyResult{}),
	}
}

func request[Resp Frame](f Request[Resp]) Entry {
	return Entry{f.FrameType(), ToBroker, f.answer().FrameType(), f}
}

func toPeer(f Frame) Entry { return Entry{f.FrameType(), ToPeer, "", f} }
