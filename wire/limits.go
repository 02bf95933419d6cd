package wire

import "time"

// Limits of frames and fields. Lengths are in characters unless a name or
// comment says bytes.
const (
	MaxFrameBytes    = 2 << 20  // hard limit of any frame: above it the socket closes with 1009
	MaxOrdinaryBytes = 64 << 10 // default limit of a frame that carries no file
	MaxReqID         = 128
	MaxSendID        = 128
	MaxName          = 128 // display names
	MaxSummary       = 1000
	MaxAvatar        = 200
	MaxTitle         = 100
	MaxBio           = 1000
	MaxCapabilities  = 50
	MaxGroups        = 50
	MaxGroupName     = 128
	MaxRole          = 64
	MaxExclude       = 1000 // addresses in Send.Exclude
	MaxAckIDs        = 256  // message ids in one ClientAck
	MaxCandidates    = 10   // keys listed with an Ambiguous error
	MinPrefix        = 8    // hex digits of a key that may stand for it
	MaxSessionID     = 256
	MaxCwd           = 4096
	MaxLabel         = 256  // host name, channel, model
	MaxPath          = 4096 // of a file or directory of a peer
	MaxPattern       = 128
	MaxPeerFile      = 1 << 20 // bytes of a file that a peer sends
	MaxPeerEntries   = 500     // entries of a listing that a peer sends
	MaxTaskTitle     = 1000
	MaxTaskTags      = 10
	MaxTaskTag       = 40
	MaxTaskPriority  = 40
	MaxTaskResult    = 32 << 10 // bytes
	MaxTaskList      = 100      // tasks in one TaskList
	MaxListedResult  = 1000     // of a result in a TaskList of several
	MaxTasks         = 10_000   // per mesh; the oldest that is done gives way to a new one
	MaxRepo          = 200
	MaxPathPattern   = 200
	MaxWildcards     = 8        // asterisks in one pattern
	MaxPatterns      = 10       // in one Reserve or Release
	MaxReason        = 200      // of a Reserve
	MaxReservations  = 1000     // per mesh
	MaxReservedPage  = 300      // reservations in one ReservationList
	MaxAuditPage     = 500      // entries in one AuditResult
	MaxAudit         = 200_000  // entries that a broker keeps of a mesh unless it was told else
	MaxInfoList      = 32 << 10 // bytes of names in one list of a MeshInfoResult

	MaxStreams       = 1000 // of a mesh
	MaxStreamName    = 128
	MaxSubscriptions = 256       // of one session
	KeepEntries      = 100       // entries that a stream keeps unless its maker said else
	MaxKeep          = 1000      // entries that a stream keeps at most
	MaxEntryBytes    = 256 << 10 // of Publish.Data
	MaxStreamBytes   = 1 << 20   // of the entries that a stream keeps; the newest is kept always

	MaxSkills           = 1000 // of a mesh
	MaxSkillName        = 128
	MaxSkillText        = 1000 // a skill's description, when_to_use and the like
	MaxSkillTags        = 20
	MaxSkillTools       = 100       // in SkillManifest.AllowedTools
	MaxInstructionBytes = 256 << 10 // of a skill's text
	MaxSkillFiles       = 1000      // of a skill that is deployed
	MaxSkillPaths       = 256 << 10 // bytes of the paths of these files
)

// Limits of what the members of a mesh share. Bytes are those of the JSON.
const (
	MaxStateKey       = 256
	MaxStateValue     = 32 << 10  // bytes
	MaxStateKeys      = 10_000    // in a mesh
	MaxStateBytes     = 1_800_000 // of all entries of a mesh, as StateList has them
	MaxMemoryBytes    = 16 << 10  // of one memory
	MaxMemories       = 200_000   // in a mesh
	MaxTags           = 20
	MaxTag            = 64
	MaxQuery          = 1000 // of Recall and GetContext
	MaxRecall         = 20   // results
	MaxContextSummary = 2000
	MaxContextList    = 200  // entries of a list in ShareContext
	MaxContextItem    = 1000 // of one entry
	MaxContextBytes   = 48 << 10
)

// Limits of shared files. How large they may be is a setting of the broker.
const (
	MaxFileNameBytes = 255
	MaxFileTags      = 32       // of one file
	MaxFileTag       = 64       // one tag
	MaxFileKeys      = 40       // keys given with an upload; further ones are granted
	MaxFileGrants    = 1000     // keys of one file
	MaxFileList      = 100      // files in one answer
	MaxFileAccesses  = 1000     // of one file that are kept
	MaxFiles         = 10_000   // of a mesh
	MaxOldFileBytes  = 50 << 20 // of a file sealed as one box, which is held in memory at both ends
)

// Limits of MCP servers that sessions host.
const (
	MaxServers     = 100       // of a mesh
	MaxOwnServers  = 20        // of a member
	MaxServerTools = 200       // of one server
	MaxToolName    = 128       // of a tool
	MaxServerText  = 1000      // a server's description
	MaxServerBytes = 256 << 10 // of the definitions of a server's tools
	MaxCallError   = 2000      // of an MCPCallResult; what is longer is cut
	MaxCallResult  = 1_900_000 // bytes of a tool's result, as the frame has it
)

// Limits of what members keep in the vault.
const (
	MaxVaultKey     = 128
	MaxVaultText    = 1000     // an entry's description and path
	MaxVaultValue   = 1 << 20  // bytes of a value
	MaxVaultEntries = 100      // of a member
	MaxVaultBytes   = 16 << 20 // of all values of a member
)

// Limits of deployed services. How many a mesh has is a setting of the broker.
const (
	DefaultServiceMemory = 256       // MB
	MaxServiceMemory     = 16 << 10  // MB
	MaxServiceCPUs       = 64        // and no more than there are
	MaxServiceEnv        = 100       // variables
	MaxServiceEnvBytes   = 1_500_000 // of all variables, files of the vault included
	MaxServiceArgs       = 50        // in ServiceConfig.Args
	MaxServiceArg        = 1000      // characters of one
	MaxServiceHosts      = 50        // in ServiceConfig.NetworkAllow
	MaxScopePeers        = 100       // in Scope.Peers
	MaxServiceLog        = 1000      // lines that are kept
	MaxLogLine           = 2000      // bytes of one
	MaxServiceZip        = 50 << 20  // bytes of an archive that is deployed
)

// Limits of what is sent later.
const (
	MaxSchedules    = 1000    // pending scheduled messages of a member
	MaxMissed       = 100     // times that one schedule makes up for at once
	MaxScheduleList = 1 << 20 // bytes of messages in one ScheduledList
)

// Limits of webhooks. How many requests one takes is a setting of the broker.
const (
	MaxWebhooks      = 100 // of a mesh
	MaxWebhookName   = 64
	MaxHookTemplate  = 2000     // of CreateWebhook.Template
	MaxHookPaths     = 50       // placeholders in a template
	MaxHookText      = 8 << 10  // bytes of the text that a template makes
	MaxHookBody      = 64 << 10 // bytes that are posted
	MaxSigningSecret = 256
	MaxDeliveryID    = 200 // of the sender's id of what it posts; what is longer is none
	KeptEvents       = 50  // of one webhook or watch that one recipient has not seen; older ones give way
	MaxMissedSources = 20  // that events_missed names
)

// Limits of watches. How many there may be is a setting of the broker.
const (
	WatchInterval    = 30     // seconds
	MinWatchInterval = 5      // seconds
	MaxWatchInterval = 86_400 // seconds
	WatchFailures    = 10     // in a row, of which the member is told
	MaxWatchURL      = 2048
	MaxWatchLabel    = 128
	MaxWatchPath     = 256 // of Watch.Extract
	MaxWatchNotify   = 256 // of Watch.NotifyOn
	MaxWatchValue    = 200 // of a value that is shown
	MaxWatchHeaders  = 20
	MaxHeaderBytes   = 4 << 10 // of all headers of a watch
	MaxWatchBody     = 1 << 20 // bytes of a body that is looked at
)

// Times that both ends know.
const (
	HelloDeadline       = 10 * time.Second // a socket without hello is closed
	MaxSkew             = time.Minute      // between a signed timestamp and the broker's clock
	PingEvery           = 30 * time.Second
	DeadAfter           = 75 * time.Second    // without an answer to a ping
	Grace               = 90 * time.Second    // a session is kept after its socket went
	Lease               = 30 * time.Second    // a pushed message is offered again after it
	RelayDeadline       = 15 * time.Second    // a peer answers a request for its files within it
	CallDeadline        = 30 * time.Second    // the host of an MCP server answers a call within it
	SkillDeployDeadline = 4 * time.Minute     // the bundle of a skill is fetched
	ServiceCall         = 25 * time.Second    // a deployed service answers a call within it
	MaxServerAway       = 30 * 24 * time.Hour // a persistent MCP server waits for its member
	DownloadFor         = 5 * time.Minute     // the URL of a file is good
	UploadFor           = time.Minute         // an upload token is good
	SignatureSkew       = 5 * time.Minute     // of the time in the signature of a webhook
	HookEventKept       = 24 * time.Hour      // what was posted to a webhook waits for its recipients
	WatchDeadline       = 10 * time.Second    // a look at a URL is over, redirects included
	WatchRest           = 24 * time.Hour      // a watch rests whose member was not here for it
	WatchKept           = 7 * 24 * time.Hour  // and is deleted after it
	EphemeralFor        = 24 * time.Hour      // an ephemeral file is kept
)

// Close codes of the WebSocket, with the text that goes with each.
const (
	CloseShutdown   = 1001 // "shutting down": come back soon
	CloseRefused    = 1008 // an Error code as text; an error frame precedes it
	CloseTooBig     = 1009 // a frame over the limit
	CloseInternal   = 1011 // "internal": the broker failed; it has logged why
	CloseSuperseded = 4001 // "superseded": a newer connection of this session took over
	CloseSlow       = 4002 // "slow consumer": answers could not be written in time
	CloseRevoked    = 4003 // "revoked": the membership ended
	CloseDead       = 4004 // "no pong": the peer answered no ping
)
