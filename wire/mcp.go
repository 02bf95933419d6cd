package wire

// MCPRegister offers the tools of an MCP server that the session hosts to the
// other members. A name that another member has is Forbidden; the same member's
// server is replaced, and moves to this session. A command cannot register:
// it has no presence that a server could be reached by.
type MCPRegister struct {
	ServerName  string    `json:"serverName"`  // as ValidServerName has it
	Description string    `json:"description"` // at most MaxServerText characters
	Tools       []MCPTool `json:"tools"`       // required; at most MaxServerTools, and MaxServerBytes in all
	// Persistent keeps the registration when the session ends, for the next session
	// of the member; it is given up if none has come within MaxServerAway.
	Persistent bool `json:"persistent,omitempty"`
}

// MCPTool is a tool of an MCP server, as its tools/list has it.
type MCPTool struct {
	Name        string `json:"name"`                  // 1 to MaxToolName characters, none of them a control character
	Description string `json:"description"`           // what it does
	InputSchema Value  `json:"inputSchema,omitempty"` // JSON Schema, an object
}

// MCPRegisterAck answers MCPRegister.
type MCPRegisterAck struct {
	ServerName string `json:"serverName"`
	ToolCount  int    `json:"toolCount"`
}

// MCPUnregister ends a registration. Any session of the member whose it is may,
// and an admin.
type MCPUnregister struct {
	ServerName string `json:"serverName"`
}

// MCPList asks for the servers that sessions host.
type MCPList struct {
	// ServerName asks for one server only, its tools with their schemas.
	ServerName string `json:"serverName,omitempty"`
	// After leaves out the names up to this one: where a list that has More
	// ended.
	After string `json:"after,omitempty"`
}

// MCPListResult answers MCPList, ascending by name.
type MCPListResult struct {
	Servers []MCPServer `json:"servers"`
	More    bool        `json:"more,omitempty"` // than one answer carries: ask After the last name
}

// MCPServer is an MCP server that a session hosts. Its texts are a peer's.
type MCPServer struct {
	Name        string `json:"name"`
	Description string `json:"description"` // what it is for
	HostedBy    string `json:"hostedBy"`    // display name
	// Tools are without their schemas, unless the server was asked for by name.
	Tools        []MCPTool `json:"tools"`
	Online       bool      `json:"online"`                 // it can be called now
	OfflineSince *Time     `json:"offlineSince,omitempty"` // of one that is not online
	Persistent   bool      `json:"persistent,omitempty"`   // it waits for its member while offline
	HostPubkey   string    `json:"hostPubkey,omitempty"`   // address, of a session that is present
	MemberPubkey string    `json:"memberPubkey"`           // whose it is
}

// MCPCall calls a tool. Whatever keeps it from its result is the Error of the
// answer; there is no *Error frame.
type MCPCall struct {
	ServerName string `json:"serverName"`
	ToolName   string `json:"toolName"`
	Args       Value  `json:"args,omitempty"` // an object; none if it is absent
}

// MCPCallResult answers MCPCall, within CallDeadline. It has neither field if
// the host gave neither.
type MCPCallResult struct {
	// Result is what the server answered to tools/call: an object with content,
	// structuredContent and isError. A host of an older version may give any JSON.
	Result Value  `json:"result,omitempty"`
	Error  string `json:"error,omitempty"` // for people
}

// MCPCallForward hands a call to the session that hosts the server.
type MCPCallForward struct {
	CallID       string `json:"callId"` // UUID
	ServerName   string `json:"serverName"`
	ToolName     string `json:"toolName"`
	Args         Value  `json:"args"`         // an object
	CallerName   string `json:"callerName"`   // display name
	CallerPubkey string `json:"callerPubkey"` // address
}

// MCPCallResponse answers MCPCallForward. It counts once, from the connection
// that was asked, within CallDeadline; the ack says no more than that it was read.
type MCPCallResponse struct {
	CallID string `json:"callId"`
	Result Value  `json:"result,omitempty"` // as in MCPCallResult
	Error  string `json:"error,omitempty"`  // for people
}

// MCPEvent tells of a server of a session: that it was registered, ended, has
// lost its host, or has one again.
type MCPEvent struct {
	ServerName  string   `json:"serverName"`
	Description string   `json:"description,omitempty"` // of one that was registered
	Tools       []string `json:"tools"`                 // names
	HostedBy    string   `json:"hostedBy"`              // display name
}

// ValidServerName reports whether s may name an MCP server: 1 to 64 letters and
// digits of ASCII, hyphens and underscores, the first no hyphen or underscore.
func ValidServerName(s string) bool {
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && (i == 0 || r != '-' && r != '_') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

func (MCPRegister) FrameType() Type     { return "mcp_register" }
func (MCPRegisterAck) FrameType() Type  { return "mcp_register_ack" }
func (MCPUnregister) FrameType() Type   { return "mcp_unregister" }
func (MCPList) FrameType() Type         { return "mcp_list" }
func (MCPListResult) FrameType() Type   { return "mcp_list_result" }
func (MCPCall) FrameType() Type         { return "mcp_call" }
func (MCPCallResult) FrameType() Type   { return "mcp_call_result" }
func (MCPCallForward) FrameType() Type  { return "mcp_call_forward" }
func (MCPCallResponse) FrameType() Type { return "mcp_call_response" }

func (MCPRegister) answer() (_ MCPRegisterAck) { return }
func (MCPUnregister) answer() (_ Ack)          { return }
func (MCPList) answer() (_ MCPListResult)      { return }
func (MCPCall) answer() (_ MCPCallResult)      { return }
func (MCPCallResponse) answer() (_ Ack)        { return }
