package broker

import "claudemesh/wire"

// routes is the table of contents of the broker. hello is not in it: it is
// served before there is a session.
func routes() []route {
	return []route{
		// Messages.
		later((*mesh).send),
		later((*mesh).clientAck),
		handle((*mesh).messageStatus),

		// What is sent later.
		handle((*mesh).schedule),
		handle((*mesh).listScheduled),
		handle((*mesh).cancelScheduled),
		handle((*mesh).setClock),
		handle((*mesh).pauseClock),
		handle((*mesh).resumeClock),
		handle((*mesh).getClock),

		// What comes from outside.
		handle((*mesh).createWebhook),
		handle((*mesh).listWebhooks),
		handle((*mesh).deleteWebhook),
		handle((*mesh).rotateWebhook),
		handle((*mesh).watchURL),
		handle((*mesh).unwatch),
		handle((*mesh).listWatches),

		// The session itself.
		order((*mesh).setStatus),
		order((*mesh).setSummary),
		handle((*mesh).setVisible),
		handle((*mesh).setProfile),
		order((*mesh).setStats),
		order((*mesh).joinGroup),
		order((*mesh).leaveGroup),

		// The mesh.
		handle((*mesh).listPeers),
		handle((*mesh).meshInfo),
		later((*mesh).leaveMesh),

		// Files of peers.
		later((*mesh).peerFileRequest),
		order((*mesh).peerFileResponse),
		later((*mesh).peerDirRequest),
		order((*mesh).peerDirResponse),

		// What its members know.
		order((*mesh).setState),
		order((*mesh).deleteState),
		handle((*mesh).getState),
		handle((*mesh).listState),
		handle((*mesh).remember),
		handle((*mesh).recall),
		handle((*mesh).forget),
		handle((*mesh).shareContext),
		handle((*mesh).getContext),
		handle((*mesh).listContexts),

		// Streams.
		handle((*mesh).createStream),
		stored((*mesh).subscribe),
		order((*mesh).unsubscribe),
		later((*mesh).publish),
		handle((*mesh).listStreams),
		order((*mesh).deleteStream),

		// Skills.
		handle((*mesh).shareSkill),
		handle((*mesh).getSkill),
		handle((*mesh).listSkills),
		handle((*mesh).removeSkill),
		later((*mesh).skillDeploy),

		// Tool servers.
		handle((*mesh).mcpRegister),
		order((*mesh).mcpUnregister),
		handle((*mesh).mcpList),
		later((*mesh).mcpCall),
		order((*mesh).mcpCallResponse),
		later((*mesh).mcpDeploy),
		later((*mesh).mcpUpdate),
		later((*mesh).mcpUndeploy),
		handle((*mesh).mcpLogs),
		handle((*mesh).mcpScope),
		handle((*mesh).mcpSchema),
		handle((*mesh).mcpCatalog),

		// The vault.
		handle((*mesh).vaultSet),
		handle((*mesh).vaultList),
		handle((*mesh).vaultGet),
		handle((*mesh).vaultDelete),
		handle((*mesh).vaultRotate),

		// Files.
		handle((*mesh).uploadToken),
		handle((*mesh).getFile),
		handle((*mesh).listFiles),
		handle((*mesh).fileStatus),
		handle((*mesh).deleteFile),
		handle((*mesh).grantFileAccess),

		// Tasks, and who changes what.
		handle((*mesh).createTask),
		handle((*mesh).claimTask),
		handle((*mesh).completeTask),
		handle((*mesh).releaseTask),
		handle((*mesh).listTasks),
		handle((*mesh).reservePaths),
		handle((*mesh).releasePaths),
		handle((*mesh).listReservations),

		// What happened.
		handle((*mesh).auditQuery),
		handle((*mesh).auditVerify),
	}
}

// large are the requests that may be bigger than an ordinary frame.
var large = map[wire.Type]bool{
	"peer_file_response": true, "peer_dir_response": true, "mcp_call_response": true, "mcp_register": true,
	"share_skill": true, "vault_set": true, "mcp_deploy": true,
}
