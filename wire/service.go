package wire

// ServiceStatus is where a deployed service stands.
type ServiceStatus string

// The states of a deployed service.
const (
	ServiceBuilding   ServiceStatus = "building"   // accepted; its source is being fetched
	ServiceInstalling ServiceStatus = "installing" // its dependencies are being installed
	ServiceRunning    ServiceStatus = "running"    // it is up and has told its tools
	ServiceRestarting ServiceStatus = "restarting" // it has ended, or the broker has: it is started again
	ServiceCrashed    ServiceStatus = "crashed"    // it has ended too often and is given up
	ServiceFailed     ServiceStatus = "failed"     // it could not be built or started
	ServiceStopped    ServiceStatus = "stopped"    // it was undeployed, or stopped on purpose
)

// SourceType says where a deployed service comes from.
type SourceType string

// The sources of services.
const (
	SourceZip  SourceType = "zip"  // a shared file, an archive of the project
	SourceGit  SourceType = "git"  // a repository, cloned without its history
	SourceNpx  SourceType = "npx"  // a package of npm
	SourceUvx  SourceType = "uvx"  // a package of PyPI
	SourcePath SourceType = "path" // a directory of the broker's machine which its operator allows
)

// ServiceSource is where a service or a bundle of skills comes from.
type ServiceSource struct {
	Kind    SourceType `json:"type"`
	FileID  string     `json:"file_id,omitempty"` // zip: a shared file that the caller may read, not sealed
	URL     string     `json:"url,omitempty"`     // git: https
	Branch  string     `json:"branch,omitempty"`  // git; the default branch if left out
	Auth    string     `json:"auth,omitempty"`    // git: a token; kept sealed, told to nobody
	Package string     `json:"package,omitempty"` // npx, uvx: name, with @version where wanted; the name of the server if left out
	Path    string     `json:"path,omitempty"`    // path: absolute
}

// ServiceConfig is how a service is run.
type ServiceConfig struct {
	Env      map[string]string `json:"env,omitempty"`       // its own variables; kept sealed
	Args     []string          `json:"args,omitempty"`      // its own arguments, at most MaxServiceArgs, in which {home} is its own directory, that it may write in; its working directory is what it was installed from
	Runtime  string            `json:"runtime,omitempty"`   // node, python or bun; found out if left out
	MemoryMB int               `json:"memory_mb,omitempty"` // DefaultServiceMemory if left out
	CPUs     float64           `json:"cpus,omitempty"`      // of the machine's; no more than a fair share if left out
	// NetworkAllow names the hosts that it may reach, each with its port unless
	// that is 443 or 80. Left out: none. "*" alone: all that the broker's machine
	// reaches, where its operator lets services have that.
	NetworkAllow []string `json:"network_allow,omitempty"`
}

// MCPDeploy has the broker build and run an MCP server. A name that another
// member's server has is Forbidden; the member's own service is replaced.
// There are several answers: building at once, what follows, and in the end
// running or failed.
type MCPDeploy struct {
	ServerName  string        `json:"server_name"` // as ValidServerName has it
	Source      ServiceSource `json:"source"`
	Config      ServiceConfig `json:"config,omitzero"`
	Scope       *Scope        `json:"scope,omitempty"`       // peer if left out
	Description string        `json:"description,omitempty"` // at most MaxServerText characters
}

// MCPDeployStatus answers MCPDeploy and MCPUpdate, once for each state until
// the outcome, and MCPUndeploy.
type MCPDeployStatus struct {
	ServerName string        `json:"server_name"`
	Status     ServiceStatus `json:"status"`
	Tools      []MCPTool     `json:"tools,omitempty"`    // of one that runs
	Error      string        `json:"error,omitempty"`    // why it failed; for people
	Commit     string        `json:"commit,omitempty"`   // of git
	Previous   string        `json:"previous,omitempty"` // the commit before an update
	// Kept says that an update failed and what ran before runs on.
	Kept bool `json:"kept,omitempty"`
}

// MCPUndeploy ends a service and deletes what it consists of. The member who
// deployed it may, and an admin.
type MCPUndeploy struct {
	ServerName string `json:"server_name"`
}

// MCPUpdate builds a service anew from its source, git, npx or uvx, and replaces
// the one that runs when the new one is up. The member who deployed it may, and
// an admin.
type MCPUpdate struct {
	ServerName string `json:"server_name"`
}

// MCPLogs asks for what a service has written to its log. The member who
// deployed it may read it, and an admin; others in its scope are Forbidden.
type MCPLogs struct {
	ServerName string `json:"server_name"`
	Lines      int    `json:"lines,omitempty"` // 1 to MaxServiceLog; 50 if left out
	// After asks for the lines after this number, which a result's Next has.
	After int64 `json:"after,omitempty"`
}

// MCPLogsResult answers MCPLogs.
type MCPLogsResult struct {
	ServerName string        `json:"server_name"`
	Lines      []string      `json:"lines"`            // oldest first; a line has at most MaxLogLine bytes
	Next       int64         `json:"next,omitempty"`   // the number of the last line there is
	Status     ServiceStatus `json:"status,omitempty"` // where the service stands
}

// MCPScope asks who may use a service, or says it. The member who deployed it may set it,
// and an admin; everyone in scope may read it.
type MCPScope struct {
	ServerName string `json:"server_name"`
	Scope      *Scope `json:"scope,omitempty"` // to set
}

// MCPScopeResult answers MCPScope.
type MCPScopeResult struct {
	ServerName string `json:"server_name"`
	Scope      Scope  `json:"scope"`
	DeployedBy string `json:"deployed_by"` // display name
}

// MCPSchema asks for the tools of a service with their schemas.
type MCPSchema struct {
	ServerName string `json:"server_name"`
	ToolName   string `json:"tool_name,omitempty"` // that one only
}

// MCPSchemaResult answers MCPSchema.
type MCPSchemaResult struct {
	ServerName string    `json:"server_name"`
	Tools      []MCPTool `json:"tools"`
}

// MCPCatalog asks for the services that the caller may use, and the caller's own.
type MCPCatalog struct{}

// MCPCatalogResult answers MCPCatalog, ascending by name.
type MCPCatalogResult struct {
	Services []CatalogEntry `json:"services"`
}

// CatalogEntry describes a deployed service. Its texts are a peer's.
type CatalogEntry struct {
	Name         string        `json:"name"`
	Kind         string        `json:"type"` // mcp
	Description  string        `json:"description"`
	Status       ServiceStatus `json:"status"`
	ToolCount    int           `json:"tool_count"`
	DeployedBy   string        `json:"deployed_by"` // display name
	Scope        Scope         `json:"scope"`
	SourceType   SourceType    `json:"source_type"`
	Runtime      *string       `json:"runtime"` // null before it is known
	CreatedAt    Time          `json:"created_at"`
	Commit       string        `json:"commit,omitempty"`   // of git
	Error        string        `json:"error,omitempty"`    // why it failed or crashed, for who deployed it and admins
	Restarts     int           `json:"restarts,omitempty"` // since it was last well for a while
	MemberPubkey string        `json:"member_pubkey"`      // whose it is
	Version      int           `json:"version"`            // 1, and one more for each update or deployment
}

// DeployedService is a service that a session may use, in its HelloAck.
type DeployedService struct {
	Name        string        `json:"name"`
	Description string        `json:"description"`
	Status      ServiceStatus `json:"status"`      // running
	Tools       []MCPTool     `json:"tools"`       // whole
	DeployedBy  string        `json:"deployed_by"` // display name
	// Cut says that Tools is empty because there are more than a HelloAck
	// carries: MCPSchema has them.
	Cut bool `json:"cut,omitempty"`
}

// MCPDeployed tells those in scope of a service that runs now, or that they
// are in its scope now. It takes the place of one of that name which they know
// of. Events of services go to commands too, as long as they are connected.
type MCPDeployed struct {
	Name        string    `json:"name"`
	Description string    `json:"description"`
	ToolCount   int       `json:"tool_count"`
	DeployedBy  string    `json:"deployed_by"`
	Scope       Scope     `json:"scope"`
	Tools       []MCPTool `json:"tools"`
}

// MCPUndeployed tells those who were in scope of a service that they can
// use it no longer.
type MCPUndeployed struct {
	Name string `json:"name"`
	By   string `json:"by"` // display name
}

// MCPScopeChanged tells those who are in scope before and after of a new
// scope. Who is new in it has an MCPDeployed, who no longer is an MCPUndeployed.
type MCPScopeChanged struct {
	Name  string `json:"name"`
	Scope Scope  `json:"scope"`
	By    string `json:"by"`
}

// MCPCrashed tells those in scope of a service that was given up: it can be
// used no longer, until an MCPDeployed says else.
type MCPCrashed struct {
	Name     string `json:"name"`
	Error    string `json:"error"` // why, for who deployed it and admins; others are told that it is not for them
	Restarts int    `json:"restarts"`
}

// MCPUpdated tells those in scope that a service is another version now, or
// has other tools.
type MCPUpdated struct {
	Name    string    `json:"name"`
	PrevSHA string    `json:"prev_sha"` // empty but for git
	NewSHA  string    `json:"new_sha"`
	Tools   []MCPTool `json:"tools"`
}

func (MCPDeploy) FrameType() Type        { return "mcp_deploy" }
func (MCPDeployStatus) FrameType() Type  { return "mcp_deploy_status" }
func (MCPUndeploy) FrameType() Type      { return "mcp_undeploy" }
func (MCPUpdate) FrameType() Type        { return "mcp_update" }
func (MCPLogs) FrameType() Type          { return "mcp_logs" }
func (MCPLogsResult) FrameType() Type    { return "mcp_logs_result" }
func (MCPScope) FrameType() Type         { return "mcp_scope" }
func (MCPScopeResult) FrameType() Type   { return "mcp_scope_result" }
func (MCPSchema) FrameType() Type        { return "mcp_schema" }
func (MCPSchemaResult) FrameType() Type  { return "mcp_schema_result" }
func (MCPCatalog) FrameType() Type       { return "mcp_catalog" }
func (MCPCatalogResult) FrameType() Type { return "mcp_catalog_result" }

func (MCPDeploy) answer() (_ MCPDeployStatus)   { return }
func (MCPUndeploy) answer() (_ MCPDeployStatus) { return }
func (MCPUpdate) answer() (_ MCPDeployStatus)   { return }
func (MCPLogs) answer() (_ MCPLogsResult)       { return }
func (MCPScope) answer() (_ MCPScopeResult)     { return }
func (MCPSchema) answer() (_ MCPSchemaResult)   { return }
func (MCPCatalog) answer() (_ MCPCatalogResult) { return }
