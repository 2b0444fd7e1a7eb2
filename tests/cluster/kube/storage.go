package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/workqueue"
)

const (
	// provisionerName is what the storage classes of the test cluster name.
	provisionerName = "lab.local/folder"
	// folderFinalizer keeps a volume in the API until its folder is gone, as a real driver does.
	folderFinalizer = "lab.local/folder"
	// provisionedBy is Kubernetes' own mark of a dynamic volume's maker.
	provisionedBy = "pv.kubernetes.io/provisioned-by"
	// requestedFrom is set on a claim by the controllers when an outside provisioner must act.
	requestedFrom = "volume.kubernetes.io/storage-provisioner"
	// retryBase and retryMax bound the pause after a failed call to the API server.
	retryBase, retryMax = 50 * time.Millisecond, 2 * time.Second
	// callTimeout bounds one reconciliation, a folder's removal included.
	callTimeout = 20 * time.Second
)

// storage makes a folder per claim and removes it with its volume. Volumes of a class with
// parameter "node" are local volumes of that node, so that kubelet sets a pod's fsGroup on them;
// without it they are plain hostPath volumes which also fit kwok's fake nodes.
type storage struct {
	client kubernetes.Interface
	folder string
	claims cache.SharedIndexInformer
	pvs    cache.SharedIndexInformer
	queue  workqueue.TypedRateLimitingInterface[string]
}

func newStorageCommand() *cobra.Command {
	var kubeconfig, folder string
	command := &cobra.Command{
		Use:           "storage",
		Short:         "provision the test cluster's volumes as folders",
		SilenceUsage:  true,
		SilenceErrors: false,
		RunE: func(*cobra.Command, []string) error {
			return runStorage(kubeconfig, folder)
		},
	}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how to reach the API server")
	command.Flags().StringVar(&folder, "folder", "", "absolute path below which each volume is one folder")
	return command
}

func runStorage(kubeconfig, folder string) error {
	if !filepath.IsAbs(folder) {
		return fmt.Errorf("--folder must be an absolute path, got %q", folder)
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 200, 400
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	factory := informers.NewSharedInformerFactory(client, 0)
	s := &storage{
		client: client,
		folder: folder,
		claims: factory.Core().V1().PersistentVolumeClaims().Informer(),
		pvs:    factory.Core().V1().PersistentVolumes().Informer(),
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[string](retryBase, retryMax)),
	}
	s.watch(s.claims, "claim")
	s.watch(s.pvs, "volume")
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	go func() { <-ctx.Done(); s.queue.ShutDown() }()
	for s.next(ctx) {
	}
	return nil
}

func (s *storage) watch(informer cache.SharedIndexInformer, kind string) {
	enqueue := func(object any) {
		if key, err := cache.MetaNamespaceKeyFunc(object); err == nil {
			s.queue.Add(kind + ":" + key)
		}
	}
	_, _ = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    enqueue,
		UpdateFunc: func(_, object any) { enqueue(object) },
	})
}

func (s *storage) next(ctx context.Context) bool {
	item, shutdown := s.queue.Get()
	if shutdown {
		return false
	}
	defer s.queue.Done(item)
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var err error
	if key, ok := strings.CutPrefix(item, "claim:"); ok {
		err = s.reconcileClaim(ctx, key)
	} else if key, ok := strings.CutPrefix(item, "volume:"); ok {
		err = s.reconcileVolume(ctx, key)
	}
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err) {
		s.queue.Forget(item)
		return true
	}
	fmt.Fprintln(os.Stderr, item+":", err)
	s.queue.AddRateLimited(item)
	return true
}

func (s *storage) reconcileClaim(ctx context.Context, key string) error {
	object, exists, err := s.claims.GetStore().GetByKey(key)
	if err != nil || !exists {
		return err
	}
	claim := object.(*corev1.PersistentVolumeClaim)
	if claim.Annotations[requestedFrom] != provisionerName || claim.Spec.VolumeName != "" || claim.DeletionTimestamp != nil {
		return nil
	}
	class, err := s.client.StorageV1().StorageClasses().Get(ctx, *claim.Spec.StorageClassName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	name := "pvc-" + string(claim.UID)
	path := filepath.Join(s.folder, name)
	volume := newVolume(claim, name, path, class.Parameters["node"])
	if class.ReclaimPolicy != nil {
		volume.Spec.PersistentVolumeReclaimPolicy = *class.ReclaimPolicy
	}
	// Root's folder, as a fresh disk has it: a pod writes only by its fsGroup or as its owner.
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	_, err = s.client.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{})
	return err
}

func newVolume(claim *corev1.PersistentVolumeClaim, name, path, node string) *corev1.PersistentVolume {
	mode := corev1.PersistentVolumeFilesystem
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Annotations: map[string]string{provisionedBy: provisionerName},
			Finalizers:  []string{folderFinalizer},
		},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			AccessModes:                   claim.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			StorageClassName:              *claim.Spec.StorageClassName,
			VolumeMode:                    &mode,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
		},
	}
	if node == "" {
		volume.Spec.HostPath = &corev1.HostPathVolumeSource{Path: path}
		return volume
	}
	volume.Spec.Local = &corev1.LocalVolumeSource{Path: path}
	volume.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{
			Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
		}}}},
	}}
	return volume
}

func (s *storage) reconcileVolume(ctx context.Context, key string) error {
	object, exists, err := s.pvs.GetStore().GetByKey(key)
	if err != nil || !exists {
		return err
	}
	volume := object.(*corev1.PersistentVolume)
	if volume.Annotations[provisionedBy] != provisionerName {
		return nil
	}
	destroys := volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete
	if volume.DeletionTimestamp == nil {
		if !destroys || volume.Status.Phase != corev1.VolumeReleased {
			return nil
		}
		uid := volume.UID
		return s.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &volume.ResourceVersion},
		})
	}
	// Kubernetes' own finalizer goes first: it says that nothing is bound any more.
	if !slices.Equal(volume.Finalizers, []string{folderFinalizer}) {
		return nil
	}
	if destroys {
		if err := os.RemoveAll(filepath.Join(s.folder, volume.Name)); err != nil {
			return err
		}
	}
	patch := fmt.Appendf(nil, `{"metadata":{"finalizers":null,"resourceVersion":%q}}`, volume.ResourceVersion)
	_, err = s.client.CoreV1().PersistentVolumes().Patch(ctx, volume.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}
