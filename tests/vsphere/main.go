// A vCenter that is none: govmomi's simulator with the datacenters, clusters, datastores, port groups and
// templates that -world names.
//
// Prints its address on the first line of standard output and ends when its standard input does.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// World is what the vCenter has. All of it is in one datacenter.
type World struct {
	Datacenter string   `json:"datacenter"`
	Cluster    string   `json:"cluster"`
	Datastores []string `json:"datastores"`
	PortGroups []struct {
		Name  string `json:"name"`
		Ports int32  `json:"ports"`
	} `json:"port_groups"`
	Templates  []struct {
		Folder string `json:"folder"`
		Name   string `json:"name"`
		DiskGB int64  `json:"disk_gb"`
	} `json:"templates"`
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	file := flag.String("world", "", "JSON file of what the vCenter has")
	folder := flag.String("folder", "", "folder for the datastores' files")
	flag.Parse()
	text, err := os.ReadFile(*file)
	must(err)
	var world World
	must(json.Unmarshal(text, &world))

	model := simulator.VPX()
	model.Machine = 0
	model.Host = 0
	model.ClusterHost = 2
	must(model.Create())
	defer model.Remove()
	model.Service.Listen = &url.URL{Host: "127.0.0.1:0", User: url.UserPassword("tester", "not-a-secret")}
	model.Service.TLS = new(tls.Config)
	model.Service.RegisterEndpoints = true
	server := model.Service.NewServer()
	defer server.Close()
	must(furnish(server.URL, world, *folder))
	go refuse(filepath.Join(*folder, "refuse"))
	fmt.Println(server.URL.Host)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// refuse lets every change of a guest fail for as long as a file is there.
func refuse(file string) {
	for ; ; time.Sleep(50 * time.Millisecond) {
		var methods []string
		if _, err := os.Stat(file); err == nil {
			methods = []string{"ReconfigVMTask"}
		}
		for _, found := range simulator.Map.All("VirtualMachine") {
			simulator.Map.WithLock(found, func() {
				found.Entity().DisabledMethod = methods
			})
		}
	}
}

// furnish gives the simulator's only datacenter the names and things of the world.
func furnish(address *url.URL, world World, folder string) error {
	ctx := context.Background()
	client, err := govmomi.NewClient(ctx, address, true)
	if err != nil {
		return err
	}
	finder := find.NewFinder(client.Client, true)
	datacenter, err := finder.DefaultDatacenter(ctx)
	if err != nil {
		return err
	}
	if err := rename(ctx, datacenter.Common, world.Datacenter); err != nil {
		return err
	}
	finder.SetDatacenter(datacenter)
	cluster, err := finder.DefaultClusterComputeResource(ctx)
	if err != nil {
		return err
	}
	if err := rename(ctx, cluster.Common, world.Cluster); err != nil {
		return err
	}
	hosts, err := cluster.Hosts(ctx)
	if err != nil {
		return err
	}
	for _, name := range world.Datastores {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(path, 0o700); err != nil {
			return err
		}
		for _, host := range hosts {
			system, err := host.ConfigManager().DatastoreSystem(ctx)
			if err != nil {
				return err
			}
			if _, err := system.CreateLocalDatastore(ctx, name, path); err != nil {
				return err
			}
		}
	}
	switches, err := finder.NetworkList(ctx, "*")
	if err != nil {
		return err
	}
	for _, found := range switches {
		if dvs, ok := found.(*object.DistributedVirtualSwitch); ok {
			var specs []types.DVPortgroupConfigSpec
			for _, group := range world.PortGroups {
				specs = append(specs, types.DVPortgroupConfigSpec{Name: group.Name, NumPorts: group.Ports,
					AutoExpand: types.NewBool(false),
					Type: string(types.DistributedVirtualPortgroupPortgroupTypeEarlyBinding)})
			}
			task, err := dvs.AddPortgroup(ctx, specs)
			if err != nil {
				return err
			}
			if err := task.Wait(ctx); err != nil {
				return err
			}
		}
	}
	return templates(ctx, finder, datacenter, cluster, world)
}

func rename(ctx context.Context, what object.Common, name string) error {
	task, err := what.Rename(ctx, name)
	if err != nil {
		return err
	}
	return task.Wait(ctx)
}

// templates makes what guests are cloned from: a disk on a paravirtual SCSI controller, no network card.
func templates(ctx context.Context, finder *find.Finder, dc *object.Datacenter, cluster *object.ClusterComputeResource,
	world World) error {
	folders, err := dc.Folders(ctx)
	if err != nil {
		return err
	}
	pool, err := cluster.ResourcePool(ctx)
	if err != nil {
		return err
	}
	for _, template := range world.Templates {
		folder, err := folders.VmFolder.CreateFolder(ctx, template.Folder)
		if err != nil {
			return err
		}
		unit := int32(0)
		disk := &types.VirtualDisk{CapacityInKB: template.DiskGB << 20, CapacityInBytes: template.DiskGB << 30}
		disk.Key, disk.ControllerKey, disk.UnitNumber = 2000, 1000, &unit
		disk.Backing = &types.VirtualDiskFlatVer2BackingInfo{DiskMode: "persistent", ThinProvisioned: types.NewBool(true)}
		scsi := &types.ParaVirtualSCSIController{}
		scsi.Key, scsi.SharedBus = 1000, types.VirtualSCSISharingNoSharing
		task, err := folder.CreateVM(ctx, types.VirtualMachineConfigSpec{
			Name: template.Name, GuestId: "debian11_64Guest", NumCPUs: 1, MemoryMB: 1024,
			Files: &types.VirtualMachineFileInfo{VmPathName: "[" + world.Datastores[0] + "]"},
			DeviceChange: []types.BaseVirtualDeviceConfigSpec{
				&types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationAdd, Device: scsi},
				&types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationAdd,
					FileOperation: types.VirtualDeviceConfigSpecFileOperationCreate, Device: disk},
			},
		}, pool, nil)
		if err != nil {
			return err
		}
		made, err := task.WaitForResult(ctx, nil)
		if err != nil {
			return err
		}
		vm := object.NewVirtualMachine(dc.Client(), made.Result.(types.ManagedObjectReference))
		if err := vm.MarkAsTemplate(ctx); err != nil {
			return err
		}
	}
	return nil
}
