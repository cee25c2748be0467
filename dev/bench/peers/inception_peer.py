"""CPU seconds of the FID Inception graph in PyTorch (batch norm folded, random weights), for the table in BENCHMARKS.md."""
import time

import torch
import torch.nn.functional as F
torch.set_num_threads(1)
g=torch.Generator().manual_seed(0)
W={}
def conv(x,name,co,kh,kw,stride=1,pad=(0,0)):
    k=(name,)
    if k not in W:
        ci=x.shape[1]; W[k]=(torch.randn(co,ci,kh,kw,generator=g)*(2/(ci*kh*kw))**.5, torch.zeros(co))
    w,b=W[k]
    return F.relu_(F.conv2d(x,w,b,stride=stride,padding=pad))
av=lambda x:F.avg_pool2d(x,3,1,1,count_include_pad=False)
def A(x,n,p):
    c=lambda y,s,co,k=1,pd=0:conv(y,n+s,co,k,k,1,(pd,pd))
    return torch.cat([c(x,'1',64),c(c(x,'5a',48),'5b',64,5,2),c(c(c(x,'da',64),'db',96,3,1),'dc',96,3,1),c(av(x),'p',p)],1)
def C(x,n,c7):
    c=lambda y,s,co,kh=1,kw=1:conv(y,n+s,co,kh,kw,1,(kh//2,kw//2))
    return torch.cat([c(x,'1',192),c(c(c(x,'a',c7),'b',c7,1,7),'c',192,7,1),c(c(c(c(c(x,'d',c7),'e',c7,7,1),'f',c7,1,7),'g',c7,7,1),'h',192,1,7),c(av(x),'p',192)],1)
def E(x,n,mx):
    c=lambda y,s,co,kh=1,kw=1:conv(y,n+s,co,kh,kw,1,(kh//2,kw//2))
    a=c(x,'3',384); d=c(c(x,'da',448),'db',384,3,3)
    p=F.max_pool2d(x,3,1,1) if mx else av(x)
    return torch.cat([c(x,'1',320),c(a,'3a',384,1,3),c(a,'3b',384,3,1),c(d,'d3',384,1,3),c(d,'d4',384,3,1),c(p,'p',192)],1)
def net(x):
    x=conv(x,'1a',32,3,3,2); x=conv(x,'2a',32,3,3); x=conv(x,'2b',64,3,3,1,(1,1)); x=F.max_pool2d(x,3,2)
    x=conv(x,'3b',80,1,1); x=conv(x,'4a',192,3,3); x=F.max_pool2d(x,3,2)
    x=A(x,'5b',32);x=A(x,'5c',64);x=A(x,'5d',64)
    x=torch.cat([conv(x,'6a1',384,3,3,2),conv(conv(conv(x,'6aa',64,1,1),'6ab',96,3,3,1,(1,1)),'6ac',96,3,3,2),F.max_pool2d(x,3,2)],1)
    for n,c in(('6b',128),('6c',160),('6d',160),('6e',192)): x=C(x,n,c)
    y=conv(conv(x,'7a1',192,1,1),'7a2',320,3,3,2)
    z=conv(x,'7ab',192,1,1); z=conv(z,'7ac',192,1,7,1,(0,3)); z=conv(z,'7ad',192,7,1,1,(3,0)); z=conv(z,'7ae',192,3,3,2)
    x=torch.cat([y,z,F.max_pool2d(x,3,2)],1)
    x=E(x,'7b',False);x=E(x,'7c',True)
    return x.mean((2,3))
with torch.inference_mode():
    x=torch.randn(16,3,299,299); net(x[:1])
    best=9e9
    for _ in range(4):
        t=time.process_time(); net(x); best=min(best,time.process_time()-t); 
    print('torch 1 thread: cpu s per 16 images',best, 'img/s',16/best)
