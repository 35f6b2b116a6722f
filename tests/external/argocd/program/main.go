// Command clusterkit is a Kubernetes control plane and an Argo CD in one file, for tests: etcd, the API server, the
// controllers, the scheduler, kwok in a kubelet's place, the three parts of Argo CD, and the two tools that its
// repository server starts. Being one program, they share one build of what they have in common.
//
// The name that it is called by, or else its first argument, says which part it is.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	_ "time/tzdata"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"

	helm "helm.sh/helm/v4/pkg/cmd"
	kwokconfig "sigs.k8s.io/kwok/pkg/config"
	kwok "sigs.k8s.io/kwok/pkg/kwok/cmd"
	kwoklog "sigs.k8s.io/kwok/pkg/log"
	kwoksignals "sigs.k8s.io/kwok/pkg/utils/signals"
	kustomize "sigs.k8s.io/kustomize/kustomize/v5/commands"

	controller "github.com/argoproj/argo-cd/v3/cmd/argocd-application-controller/commands"
	reposerver "github.com/argoproj/argo-cd/v3/cmd/argocd-repo-server/commands"
	argocd "github.com/argoproj/argo-cd/v3/cmd/argocd-server/commands"
)

// A part builds its command only when it is the one that was asked for: many register flags and metrics globally.
var parts = map[string]func() int{
	"etcd":        func() int { etcdmain.Main(os.Args); return 0 },
	"apiserver":   func() int { return cli.Run(apiserver.NewAPIServerCommand()) },
	"manager":     func() int { return cli.Run(manager.NewControllerManagerCommand()) },
	"scheduler":   func() int { return cli.Run(scheduler.NewSchedulerCommand()) },
	"kwok":        runKwok,
	"server":      func() int { return execute(argocd.NewCommand(), nil) },
	"repo-server": func() int { return execute(reposerver.NewCommand(), nil) },
	"controller":  func() int { return execute(controller.NewCommand(), nil) },
	"kustomize":   func() int { return execute(kustomize.NewDefaultCommand(), nil) },
	"helm":        func() int { return execute(helm.NewRootCmd(os.Stdout, os.Args[1:], helm.SetupLogging)) },
}

func main() {
	part, found := parts[filepath.Base(os.Args[0])]
	if !found && len(os.Args) > 1 {
		part, found = parts[os.Args[1]]
		os.Args = append(os.Args[:1], os.Args[2:]...)
	}
	if !found {
		fmt.Fprintln(os.Stderr, "usage: clusterkit PART FLAGS, where a part is one of:")
		for name := range parts {
			fmt.Fprintln(os.Stderr, "  "+name)
		}
		os.Exit(2)
	}
	os.Exit(part())
}

func execute(command *cobra.Command, err error) int {
	if err == nil {
		err = command.Execute()
	}
	return said(err)
}

func said(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "error:", err)
	return 1
}

// kwok reads its configuration and its log's flags before it has a command to hang them on.
func runKwok() int {
	flags := pflag.NewFlagSet("kwok", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.Usage = func() {}
	ctx, _ := kwoklog.InitFlags(kwoksignals.SetupSignalContext(), flags)
	ctx, err := kwokconfig.InitFlags(ctx, flags)
	if err != nil {
		return said(err)
	}
	return said(kwokCommand(ctx, flags).ExecuteContext(ctx))
}

// Without a version of its own: the flag that would show it belongs to Kubernetes here.
func kwokCommand(ctx context.Context, flags *pflag.FlagSet) *cobra.Command {
	command := kwok.NewCommand(ctx)
	command.Version = ""
	command.PersistentFlags().AddFlagSet(flags)
	return command
}
